#include "test.h"

#include "exposition/negotiate.h"

#define TEXT_0 EXPOSITION_TEXT_0_0_4
#define TEXT_1 EXPOSITION_TEXT_1_0_0
#define PROTOBUF EXPOSITION_PROTOBUF
#define OM_0 EXPOSITION_OPENMETRICS_0_0_1
#define OM_1 EXPOSITION_OPENMETRICS_1_0_0
#define UNDERSCORES EXPOSITION_UNDERSCORES
#define UTF_8 EXPOSITION_ALLOW_UTF_8
#define DOTS EXPOSITION_DOTS
#define VALUES EXPOSITION_VALUES

#define OM "application/openmetrics-text"
#define PROTO          \
	"application/" \
	"vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
#define SAME(format, escaping)   \
	{format, escaping},      \
	{                        \
		format, escaping \
	}

/* What is answered with OpenMetrics, and without. */
static const struct {
	struct span accept;
	struct exposition_choice with, without;
} accepts[] = {
    /* Prometheus 2.42, then with native histograms. */
    {SPAN(OM ";version=1.0.0," OM ";version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
     {OM_1, UNDERSCORES},
     {TEXT_0, UNDERSCORES}},
    {SPAN(PROTO "," OM ";version=1.0.0;q=0.8," OM
		";version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
     SAME(PROTOBUF, UNDERSCORES)},
    /* Prometheus 2.49.0: an illegal weight that must not win. */
    {SPAN(OM ";version=1.0.0;q=0.5," OM
	     ";version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=2"),
     {OM_1, UNDERSCORES},
     {TEXT_0, UNDERSCORES}},
    /* Prometheus 3.0: escaping everywhere, twice in one clause; then protobuf first. */
    {SPAN(OM
	  ";version=1.0.0;escaping=allow-utf-8;q=0.6," OM
	  ";version=0.0.1;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;"
	  "escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;escaping=allow-utf-8;q=0.3,*/*;"
	  "q=0.2"),
     {OM_1, UTF_8},
     {TEXT_1, UTF_8}},
    {SPAN(PROTO
	  ";escaping=allow-utf-8;q=0.6," OM ";version=1.0.0;escaping=allow-utf-8;q=0.5," OM
	  ";version=0.0.1;escaping=allow-utf-8;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;"
	  "escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;escaping=allow-utf-8;q=0.2,*/*;"
	  "q=0.1"),
     SAME(PROTOBUF, UTF_8)},
    /* Prometheus 3.4 to 3.14, by metric_name_escaping_scheme; then protobuf first, then text only
     * by configuration. */
    {SPAN(OM ";version=1.0.0;escaping=allow-utf-8;q=0.6," OM
	     ";version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;"
	     "version=0.0.4;q=0.3,*/*;q=0.2"),
     {OM_1, UTF_8},
     {TEXT_1, UTF_8}},
    {SPAN(OM ";version=1.0.0;escaping=underscores;q=0.6," OM
	     ";version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=underscores;q=0.4,text/plain;"
	     "version=0.0.4;q=0.3,*/*;q=0.2"),
     {OM_1, UNDERSCORES},
     {TEXT_1, UNDERSCORES}},
    {SPAN(OM ";version=1.0.0;escaping=dots;q=0.6," OM
	     ";version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=dots;q=0.4,text/plain;"
	     "version=0.0.4;q=0.3,*/*;q=0.2"),
     {OM_1, DOTS},
     {TEXT_1, DOTS}},
    {SPAN(OM ";version=1.0.0;escaping=values;q=0.6," OM
	     ";version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=values;q=0.4,text/plain;"
	     "version=0.0.4;q=0.3,*/*;q=0.2"),
     {OM_1, VALUES},
     {TEXT_1, VALUES}},
    {SPAN(PROTO
	  ";q=0.6," OM ";version=1.0.0;escaping=allow-utf-8;q=0.5," OM
	  ";version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;"
	  "version=0.0.4;q=0.2,*/*;q=0.1"),
     SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain;version=0.0.4;q=0.6,*/*;q=0.5"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN("text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,*/*;q=0.5"), SAME(TEXT_1, UTF_8)},
    {SPAN(OM ";version=0.0.1;q=0.6,*/*;q=0.5"), {OM_0, UNDERSCORES}, {TEXT_0, UNDERSCORES}},
    {SPAN(PROTO ";q=0.6,*/*;q=0.5"), SAME(PROTOBUF, UNDERSCORES)},
    /* OpenMetrics 2.0 is never answered with, nor with what it is not. */
    {SPAN(OM ";version=2.0.0;charset=utf-8," OM ";version=1.0.0;q=0.5,text/plain;q=0.1"),
     {OM_1, UNDERSCORES},
     {TEXT_0, UNDERSCORES}},
    /* VictoriaMetrics, Telegraf, curl, a browser, a header without anything. */
    {SPAN("text/plain;version=0.0.4;q=1,*/*;q=0.1"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN(PROTO ";q=0.7,text/plain;version=0.0.4;q=0.3"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("*/*"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"),
     SAME(TEXT_0, UNDERSCORES)},
    {SPAN(""), SAME(TEXT_0, UNDERSCORES)},
    {{NULL, 0}, SAME(TEXT_0, UNDERSCORES)},

    /* Versions and other parameters. */
    {SPAN(OM), {OM_0, UNDERSCORES}, {TEXT_0, UNDERSCORES}},
    {SPAN(OM ";version=0.0.1"), {OM_0, UNDERSCORES}, {TEXT_0, UNDERSCORES}},
    {SPAN(OM ";version=\"1.0.0\""), {OM_1, UNDERSCORES}, {TEXT_0, UNDERSCORES}},
    {SPAN(OM ";version=2.0.0"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN(OM ";version=0.0.1;version=1.0.0"), {OM_0, UNDERSCORES}, {TEXT_0, UNDERSCORES}},
    {SPAN(OM ";version=2.0.0;version=1.0.0"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN("text/plain"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN("text/plain;version=1.0.0"), SAME(TEXT_1, UNDERSCORES)},
    {SPAN("text/plain;version=1.0.0;escaping=allow-utf-8,text/plain;version=0.0.4"),
     SAME(TEXT_1, UTF_8)},
    {SPAN("text/plain;version=0.0.4,text/plain;version=1.0.0;escaping=allow-utf-8"),
     SAME(TEXT_0, UNDERSCORES)},
    {SPAN("text/plain;version=2;q=1," PROTO ";q=0.1"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain;version=;q=1," PROTO ";q=0.1"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain;charset=utf-8"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN("text/plain;version=1.0.0;proto=other"), SAME(TEXT_1, UNDERSCORES)},
    {SPAN(PROTO ";version=2"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("application/vnd.google.protobuf"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN("application/vnd.google.protobuf;proto=other;encoding=delimited"),
     SAME(TEXT_0, UNDERSCORES)},
    {SPAN("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily"),
     SAME(TEXT_0, UNDERSCORES)},
    {SPAN("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text"),
     SAME(TEXT_0, UNDERSCORES)},
    {SPAN("application/vnd.google.protobuf;encoding=\"delimited\";"
	  "proto=\"io.prometheus.client.MetricFamily\""),
     SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/html;version=0.0.4"), SAME(TEXT_0, UNDERSCORES)},

    /* Escaping schemes: of the clause that won only, and the first of several. */
    {SPAN("text/plain;escaping=allow-utf-8"), SAME(TEXT_0, UTF_8)},
    {SPAN("text/plain;escaping=\"dots\""), SAME(TEXT_0, DOTS)},
    {SPAN("text/plain;Escaping=Values"), SAME(TEXT_0, VALUES)},
    {SPAN("text/plain;escaping=hexadecimal"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN("text/plain;escaping="), SAME(TEXT_0, UNDERSCORES)},
    {SPAN("text/plain;escaping=dots;escaping=values"), SAME(TEXT_0, DOTS)},
    {SPAN("*/*;escaping=dots"), SAME(TEXT_0, DOTS)},
    {SPAN("text/html;escaping=dots,*/*"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN(PROTO ";escaping=values"), SAME(PROTOBUF, VALUES)},

    /* Weights. */
    {SPAN("text/plain;q=0.5," PROTO ";q=0.6"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain;q=0.6," PROTO ";q=0.6"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN(PROTO ";q=0.6,text/plain;q=0.6"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain;q=0.123," PROTO ";q=0.124"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain;q=0.1234567," PROTO ";q=0.1234578"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain;q=0.1009," PROTO ";q=0.101"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN(PROTO ";q=0.1234561,text/plain;q=0.1234569"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain;q=.5," PROTO ";q=.6"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain;q=1.000," PROTO ";q=0.999"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN(PROTO ";q=0"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN("text/plain;q=0.000," PROTO ";q=0.001"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain;q=1.5," PROTO ";q=0.1"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain;q=-1," PROTO ";q=0.1"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain;q=nan," PROTO ";q=0.1"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain;q=," PROTO ";q=0.1"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain;q," PROTO ";q=0.1"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain;q=.," PROTO ";q=0.1"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain;q=0.5.5," PROTO ";q=0.1"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain;q=11," PROTO ";q=0.1"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain;q=0.:," PROTO ";q=0.1"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain;q=0.199," PROTO ";q=0.2"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN(PROTO ";q=0.000001"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN(PROTO ";q=1"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN(PROTO ";q=1.5"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN(PROTO ";q=0.5.5"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN("text/plain;q=0.1;q=0.9," PROTO ";q=0.5"), SAME(PROTOBUF, UNDERSCORES)},

    /* Wildcards never mean what not every scraper can read. */
    {SPAN("*/*;q=0.9," PROTO ";q=0.5"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN("text/*;q=0.9," PROTO ";q=0.5"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN("application/*"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN("application/*;q=0.9," PROTO ";q=0.1"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("*;q=0.9," PROTO ";q=0.1"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("/*;q=0.9," PROTO ";q=0.1"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("*/plain;q=0.9," PROTO ";q=0.1"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("texty/*;q=0.9," PROTO ";q=0.1"), SAME(PROTOBUF, UNDERSCORES)},

    /* Case, blanks, empty elements, quotes, and nonsense. */
    {SPAN("TEXT/Plain ; VERSION=1.0.0 ; Q=0.3 ,\tApplication/OpenMetrics-Text\t;\tq=0.2"),
     SAME(TEXT_1, UNDERSCORES)},
    {SPAN(" , ,, text/plain;version=1.0.0 ,, "), SAME(TEXT_1, UNDERSCORES)},
    {SPAN("text/plain;;;q=0.5;;," PROTO ";q=0.6"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain;a=\"x,y;q=0;\\\",*/*\";q=0.7," PROTO ";q=0.6"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN("text/plain;q=0.5," PROTO ";a=\"\\\"\";q=0.1"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN("text/plain;a=\"," PROTO), SAME(TEXT_0, UNDERSCORES)},
    {SPAN("text/plain;q=0.1;a=\\," PROTO), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain;version=\""), SAME(TEXT_0, UNDERSCORES)},
    {SPAN("text/plain;version=\"1.0.0x"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN("text/plain;version=x1.0.0\""), SAME(TEXT_0, UNDERSCORES)},
    {SPAN("text/plain;a=\"\\"), SAME(TEXT_0, UNDERSCORES)},
    {SPAN(",;=,;q=1,=;," PROTO ";q=0.1"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("text/plain\0;q=0.2," PROTO ";q=0.1"), SAME(PROTOBUF, UNDERSCORES)},
    {SPAN("\xff\xfe,text/plain;version=1.0.0;q=0.1"), SAME(TEXT_1, UNDERSCORES)},
};

static void
assert_choice(struct span accept, bool has_openmetrics, struct exposition_choice want)
{
	struct exposition_choice got = exposition_negotiate(accept, has_openmetrics);
	if (got.format != want.format || got.escaping != want.escaping)
		fail_msg("\"%.*s\" %s OpenMetrics gave \"%s\", want \"%s\"", SPAN_ARGS(accept),
			 has_openmetrics ? "with" : "without", exposition_content_type(got),
			 exposition_content_type(want));
}

static void
test_negotiate__accept_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(accepts) / sizeof(accepts[0]); i++) {
		assert_choice(accepts[i].accept, true, accepts[i].with);
		assert_choice(accepts[i].accept, false, accepts[i].without);
	}
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
	    {SPAN("gzip;q=-, *"), false},
	    {SPAN("gzip ; q=1.0"), true},
	    {SPAN("*;q=0"), false},
	    {SPAN("gzip;q=0, *"), false},
	    {SPAN("*, gzip;q=0"), false},
	    {SPAN("gzip, *;q=0"), true},
	    {SPAN("gzip;q=0.5, identity"), false},
	    {SPAN("gzip;q=0.5, identity;q=0.5"), true},
	    {SPAN("gzip;q=0.5, identity;q=0.4"), true},
	    {SPAN("gzip;q=0.5, *"), false},
	    {SPAN("*;q=0.6, gzip;q=0.5"), false},
	    {SPAN("gzip;q=0.5, *;q=0.5"), true},
	    {SPAN("gzip;q=0.5, *, identity;q=0.4"), true},
	    {SPAN("identity;q=0"), false},
	    {SPAN("*;q=0.5, identity;q=0.6"), false},
	    {SPAN("*;q=0.5, identity;q=0"), true},
	    {SPAN("gzip;q=0, x-gzip;q=0.5"), true},
	    {SPAN("gzip;q=0.5, x-gzip;q=0"), true},
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
	    cmocka_unit_test(test_negotiate__accept_headers),
	    cmocka_unit_test(test_gzip__accept_encoding_headers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
