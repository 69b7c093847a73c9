#include "test.h"

#include "exposition/negotiate.h"

/* More formats than are served today, so that weights have something to decide. */
enum { TEXT, OPENMETRICS_1, OPENMETRICS_0, PROTOBUF, OFFERS, NONE = OFFERS };

static const struct media_offer offers[OFFERS] = {
    [TEXT] = {SPAN("text/plain"), SPAN("0.0.4"), {NULL, 0}, true},
    [OPENMETRICS_1] = {SPAN("application/openmetrics-text"), SPAN("1.0.0"), {NULL, 0}, false},
    [OPENMETRICS_0] = {SPAN("application/openmetrics-text"), SPAN("0.0.1"), {NULL, 0}, false},
    [PROTOBUF] = {SPAN("application/vnd.google.protobuf"),
		  {NULL, 0},
		  SPAN("io.prometheus.client.MetricFamily"),
		  false},
};

#define OM "application/openmetrics-text"
#define PROTO          \
	"application/" \
	"vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"

static const struct {
	struct span accept;
	size_t want;
} accepts[] = {
    /* Prometheus 2.42, then with native histograms. */
    {SPAN(OM ";version=1.0.0," OM ";version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
     OPENMETRICS_1},
    {SPAN(PROTO "," OM ";version=1.0.0;q=0.8," OM
		";version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
     PROTOBUF},
    /* Prometheus 2.49.0: an illegal weight that must not win. */
    {SPAN(OM ";version=1.0.0;q=0.5," OM
	     ";version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=2"),
     OPENMETRICS_1},
    /* Prometheus 3.0: escaping everywhere, twice in one clause. */
    {SPAN(OM
	  ";version=1.0.0;escaping=allow-utf-8;q=0.6," OM
	  ";version=0.0.1;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;"
	  "escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;escaping=allow-utf-8;q=0.3,*/*;"
	  "q=0.2"),
     OPENMETRICS_1},
    /* Prometheus 3.4 to 3.14, then protobuf first, then text only by configuration. */
    {SPAN(OM ";version=1.0.0;escaping=allow-utf-8;q=0.6," OM
	     ";version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;"
	     "version=0.0.4;q=0.3,*/*;q=0.2"),
     OPENMETRICS_1},
    {SPAN(PROTO
	  ";q=0.6," OM ";version=1.0.0;escaping=allow-utf-8;q=0.5," OM
	  ";version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;"
	  "version=0.0.4;q=0.2,*/*;q=0.1"),
     PROTOBUF},
    {SPAN("text/plain;version=0.0.4;q=0.6,*/*;q=0.5"), TEXT},
    {SPAN("text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,*/*;q=0.5"), TEXT},
    /* VictoriaMetrics, curl, a browser, a header without anything. */
    {SPAN("text/plain;version=0.0.4;q=1,*/*;q=0.1"), TEXT},
    {SPAN("*/*"), TEXT},
    {SPAN("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"), TEXT},
    {SPAN(""), NONE},
    {{NULL, 0}, NONE},

    /* Versions and other parameters. */
    {SPAN(OM), OPENMETRICS_1},
    {SPAN(OM ";version=0.0.1"), OPENMETRICS_0},
    {SPAN(OM ";version=\"0.0.1\""), OPENMETRICS_0},
    {SPAN(OM ";version=2.0.0"), NONE},
    {SPAN(OM ";version=0.0.1;version=1.0.0"), OPENMETRICS_0},
    {SPAN("text/plain"), TEXT},
    {SPAN("text/plain;version=1.0.0"), NONE},
    {SPAN("text/plain;version="), NONE},
    {SPAN("text/plain;charset=utf-8"), TEXT},
    {SPAN("application/vnd.google.protobuf"), NONE},
    {SPAN("application/vnd.google.protobuf;proto=other"), NONE},
    {SPAN("text/html;version=0.0.4"), NONE},

    /* Weights. */
    {SPAN("text/plain;q=0.5," OM ";q=0.6"), OPENMETRICS_1},
    {SPAN("text/plain;q=0.6," OM ";q=0.6"), TEXT},
    {SPAN(OM ";q=0.6,text/plain;q=0.6"), OPENMETRICS_1},
    {SPAN("text/plain;q=0.123," OM ";q=0.124"), OPENMETRICS_1},
    {SPAN("text/plain;q=0.1234567," OM ";q=0.1234578"), OPENMETRICS_1},
    {SPAN("text/plain;q=.5," OM ";q=.6"), OPENMETRICS_1},
    {SPAN("text/plain;q=1.000," OM ";q=0.999"), TEXT},
    {SPAN("text/plain;q=0"), NONE},
    {SPAN("text/plain;q=0.000," OM ";q=0.001"), OPENMETRICS_1},
    {SPAN("text/plain;q=1.5," OM ";q=0.1"), OPENMETRICS_1},
    {SPAN("text/plain;q=-1," OM ";q=0.1"), OPENMETRICS_1},
    {SPAN("text/plain;q=nan," OM ";q=0.1"), OPENMETRICS_1},
    {SPAN("text/plain;q=," OM ";q=0.1"), OPENMETRICS_1},
    {SPAN("text/plain;q," OM ";q=0.1"), OPENMETRICS_1},
    {SPAN("text/plain;q=.," OM ";q=0.1"), OPENMETRICS_1},
    {SPAN("text/plain;q=0.5.5," OM ";q=0.1"), OPENMETRICS_1},
    {SPAN("text/plain;q=11," OM ";q=0.1"), OPENMETRICS_1},
    {SPAN("text/plain;q=0.1;q=0.9," OM ";q=0.5"), OPENMETRICS_1},

    /* Wildcards never mean what not every scraper can read. */
    {SPAN("*/*;q=0.9," OM ";q=0.5"), TEXT},
    {SPAN("text/*;q=0.9," OM ";q=0.5"), TEXT},
    {SPAN("application/*"), NONE},
    {SPAN("application/*;q=0.9,text/*;q=0.1"), TEXT},
    {SPAN("*"), NONE},
    {SPAN("/*"), NONE},
    {SPAN("*/plain"), NONE},
    {SPAN("texty/*"), NONE},

    /* Case, blanks, empty elements, quotes, and nonsense. */
    {SPAN("TEXT/Plain ; VERSION=0.0.4 ; Q=0.3 ,\tApplication/OpenMetrics-Text\t;\tq=0.2"), TEXT},
    {SPAN(" , ,, text/plain ,, "), TEXT},
    {SPAN("text/plain;;;q=0.5;;," OM ";q=0.6"), OPENMETRICS_1},
    {SPAN("text/plain;a=\"x,y;q=0;\\\",*/*\";q=0.7," OM ";q=0.6"), TEXT},
    {SPAN("text/plain;a=\"," OM), TEXT},
    {SPAN("text/plain;a=\"\\"), TEXT},
    {SPAN(",;=,;q=1,=;"), NONE},
    {SPAN("text/plain\0"), NONE},
    {SPAN("\xff\xfe,text/plain;q=0.1"), TEXT},
};

static void
test_offer__accept_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(accepts) / sizeof(accepts[0]); i++) {
		size_t got = exposition_negotiate_offer(accepts[i].accept, offers, OFFERS);
		if (got != accepts[i].want)
			fail_msg("\"%.*s\" gave offer %zu, want %zu", SPAN_ARGS(accepts[i].accept),
				 got, accepts[i].want);
	}
	assert_int_equal(exposition_negotiate_offer(SPAN("*/*"), offers, 0), 0);
}

static void
test_format__always_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(accepts) / sizeof(accepts[0]); i++)
		assert_int_equal(exposition_negotiate_format(accepts[i].accept),
				 EXPOSITION_TEXT_0_0_4);
}

static void
test_gzip__accept_encoding_headers(void **state)
{
	(void)state;
	static const struct {
		struct span header;
		bool want;
	} table[] = {
	    {{NULL, 0}, false},
	    {SPAN(""), false},
	    {SPAN("gzip"), true},
	    {SPAN("GZip"), true},
	    {SPAN("x-gzip"), true},
	    {SPAN("identity"), false},
	    {SPAN("*"), true},
	    {SPAN("gzip, deflate, br, zstd"), true},
	    {SPAN("deflate, br"), false},
	    {SPAN("gzipped"), false},
	    {SPAN("gzip;q=0"), false},
	    {SPAN("gzip;q=0.000"), false},
	    {SPAN("gzip;q=0.001"), true},
	    {SPAN("gzip;q=2"), false},
	    {SPAN("gzip;q=x"), false},
	    {SPAN("gzip ; q=1.0"), true},
	    {SPAN("*;q=0"), false},
	    {SPAN("gzip;q=0, *"), false},
	    {SPAN("*, gzip;q=0"), false},
	    {SPAN("gzip, *;q=0"), true},
	    {SPAN("gzip;q=0.5, identity"), false},
	    {SPAN("gzip;q=0.5, identity;q=0.5"), true},
	    {SPAN("gzip;q=0.5, identity;q=0.4"), true},
	    {SPAN("identity;q=0"), false},
	    {SPAN("*;q=0.5, identity;q=0.6"), false},
	    {SPAN("*;q=0.5, identity;q=0"), true},
	    {SPAN("gzip;q=0, x-gzip;q=0.5"), true},
	    {SPAN(" ,, gzip"), true},
	    {SPAN("br;x=\"gzip\""), false},
	    {SPAN("br;x=\", gzip"), false},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (exposition_negotiate_gzip(table[i].header) != table[i].want)
			fail_msg("\"%.*s\", want %d", SPAN_ARGS(table[i].header), table[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_offer__accept_headers),
	    cmocka_unit_test(test_format__always_text),
	    cmocka_unit_test(test_gzip__accept_encoding_headers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
