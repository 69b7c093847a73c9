#include "test.h"

#include "exposition/dots.h"
#include "exposition/fake_reader.h"

static const struct series_view series[] = {
    {.labels = SPAN(""), .value = 1},
    {.labels = SPAN("a_b=\"x_y\""), .value = 2},
    {.labels = SPAN("_=\"\",__=\"a,b_c=\\\"\\\\\\n\",ab=\"=\""), .value = 3},
};
static const struct fake_family families[] = {
    {{SPAN("plain"), SPAN("Help_me."), METRIC_GAUGE}, series, 3},
    {{SPAN("_a__b_"), SPAN(""), METRIC_COUNTER}, series, 1},
};

static void
test_dots__names_of_families_and_labels(void **state)
{
	(void)state;
	static const char *const names[] = {"plain", "__a____b__"};
	static const char *const labels[] = {"", "a__b=\"x_y\"",
					     "__=\"\",____=\"a,b_c=\\\"\\\\\\n\",ab=\"=\""};
	unsigned frees = 0;
	struct reader *inner = fake_reader_new(families, 2, &frees);
	struct reader *reader = exposition_dots_reader(&inner);
	assert_null(inner);
	struct family_view family;
	for (size_t f = 0; f < 2; f++) {
		struct series_view batch[2];
		assert_true(reader_next_family(reader, &family));
		assert_span_equal(family.name, names[f]);
		assert_true(span_equal(family.help, families[f].view.help));
		assert_int_equal(family.type, families[f].view.type);
		size_t seen = 0;
		for (size_t count; (count = reader_next_batch(reader, batch, 2)); seen += count) {
			for (size_t i = 0; i < count; i++) {
				assert_span_equal(batch[i].labels, labels[seen + i]);
				assert_true(batch[i].value == series[seen + i].value);
			}
		}
		assert_int_equal(seen, families[f].series_count);
	}
	assert_false(reader_next_family(reader, &family));
	reader_free(&reader);
	assert_int_equal(frees, 1);
}

static void
test_dots__native_histograms_are_asked_for(void **state)
{
	(void)state;
	unsigned frees = 0;
	struct reader *inner = fake_reader_new(families, 2, &frees), *same = inner;
	struct reader *reader = exposition_dots_reader(&inner);
	assert_int_equal(((struct fake_reader *)same)->wants, 0);
	reader_want(reader, READER_NATIVE);
	assert_int_equal(((struct fake_reader *)same)->wants, READER_NATIVE);
	reader_free(&reader);
}

/* Different names stay different, in their order. */
static void
test_dots__order(void **state)
{
	(void)state;
	enum { LENGTH = 4 };
	static const char letters[] = "0AZ_az"; /* ascending */
	struct fake_family all[1];
	char name[LENGTH], last[2 * LENGTH];
	size_t last_len = 0;
	for (unsigned n = 0; n < 6 * 6 * 6 * 6; n++) {
		for (unsigned i = 0, rest = n; i < LENGTH; i++, rest /= 6)
			name[LENGTH - 1 - i] = letters[rest % 6];
		all[0] = (struct fake_family){
		    {span_of(name, LENGTH), SPAN(""), METRIC_GAUGE}, series, 0};
		unsigned frees = 0;
		struct reader *inner = fake_reader_new(all, 1, &frees);
		struct reader *reader = exposition_dots_reader(&inner);
		struct family_view family;
		assert_true(reader_next_family(reader, &family));
		assert_true(family.name.len <= sizeof(last));
		if (n)
			assert_true(span_compare(span_of(last, last_len), family.name) < 0);
		memcpy(last, family.name.ptr, family.name.len);
		last_len = family.name.len;
		reader_free(&reader);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_dots__native_histograms_are_asked_for),
	    cmocka_unit_test(test_dots__names_of_families_and_labels),
	    cmocka_unit_test(test_dots__order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
