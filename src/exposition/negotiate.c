#include "exposition/negotiate.h"

/* Weights in millionths; RFC 9110 allows three digits, Go clients write more. */
#define WEIGHT_ONE 1000000
#define WEIGHT_ABSENT (-1)

/* A media type that can be answered with. Compared without regard to case. */
struct media_offer {
	struct span type;    /* "text/plain" */
	struct span version; /* a `version` parameter must be this; ptr NULL = may be any */
	/* There must be these parameters; ptr NULL = need not. */
	struct span proto, encoding;
	bool takes_wildcard; /* whether a wildcard that includes the type means this offer */
};

/* Of several that a clause satisfies the first is meant. */
static const struct media_offer offers[EXPOSITION_FORMATS] = {
    [EXPOSITION_TEXT_0_0_4] = {.type = SPAN("text/plain"),
			       .version = SPAN("0.0.4"),
			       .takes_wildcard = true},
    [EXPOSITION_TEXT_1_0_0] = {.type = SPAN("text/plain"), .version = SPAN("1.0.0")},
    [EXPOSITION_PROTOBUF] = {.type = SPAN("application/vnd.google.protobuf"),
			     .proto = SPAN("io.prometheus.client.MetricFamily"),
			     .encoding = SPAN("delimited")},
    [EXPOSITION_OPENMETRICS_0_0_1] = {.type = SPAN("application/openmetrics-text"),
				      .version = SPAN("0.0.1")},
    [EXPOSITION_OPENMETRICS_1_0_0] = {.type = SPAN("application/openmetrics-text"),
				      .version = SPAN("1.0.0")},
};

static const struct span escapings[EXPOSITION_ESCAPINGS] = {
    [EXPOSITION_UNDERSCORES] = SPAN("underscores"),
    [EXPOSITION_ALLOW_UTF_8] = SPAN("allow-utf-8"),
    [EXPOSITION_DOTS] = SPAN("dots"),
    [EXPOSITION_VALUES] = SPAN("values"),
};

/* One element of a list header: "text/plain;version=0.0.4;q=0.3". */
struct clause {
	struct span value; /* "text/plain" */
	/* Parameters, without quotes; ptr NULL = not given. */
	struct span version, proto, encoding, escaping;
	int weight; /* 0 to WEIGHT_ONE; 0 also for an illegal one */
};

/* Cuts what stands before the first `separator` outside quotes off `rest`, trimmed. */
static struct span
cut(struct span *rest, char separator)
{
	bool in_quotes = false;
	size_t len = 0;
	for (; len < rest->len; len++) {
		char byte = rest->ptr[len];
		if (in_quotes && byte == '\\' && len + 1 < rest->len)
			len++;
		else if (byte == '"')
			in_quotes = !in_quotes;
		else if (byte == separator && !in_quotes)
			break;
	}
	struct span piece = span_first(*rest, len);
	*rest = span_from(*rest, len < rest->len ? len + 1 : len);
	return span_trim(piece);
}

/* "0.5" in millionths, further digits cut off; 0 for what is no number from 0 to 1. */
static int
parse_weight(struct span text)
{
	int weight = 0, unit = WEIGHT_ONE;
	size_t i = 0;
	for (; i < text.len && text.ptr[i] != '.'; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '1' || weight)
			return 0;
		weight = (text.ptr[i] - '0') * unit;
	}
	for (i++; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return 0;
		unit /= 10;
		weight += (text.ptr[i] - '0') * unit;
	}
	return weight <= WEIGHT_ONE ? weight : 0;
}

static struct span
unquote(struct span s)
{
	if (s.len >= 2 && s.ptr[0] == '"' && s.ptr[s.len - 1] == '"')
		return span_first(span_from(s, 1), s.len - 2);
	return s;
}

/* Of a parameter given twice the first counts. */
static void
take_parameter(struct clause *clause, struct span name, struct span value)
{
	const struct {
		struct span name;
		struct span *value;
	} kept[] = {
	    {SPAN("version"), &clause->version},
	    {SPAN("proto"), &clause->proto},
	    {SPAN("encoding"), &clause->encoding},
	    {SPAN("escaping"), &clause->escaping},
	};
	if (span_equal_ignoring_case(name, SPAN("q")) && clause->weight == WEIGHT_ABSENT)
		clause->weight = parse_weight(value);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		if (span_equal_ignoring_case(name, kept[i].name) && !kept[i].value->ptr)
			*kept[i].value = unquote(value);
	}
}

/* Reads the next clause, which may be empty. @return false at the end */
static bool
next_clause(struct span *header, struct clause *clause)
{
	if (!header->len)
		return false;
	struct span element = cut(header, ',');
	*clause = (struct clause){.weight = WEIGHT_ABSENT};
	clause->value = cut(&element, ';');
	while (element.len) {
		struct span parameter = cut(&element, ';');
		struct span name = cut(&parameter, '=');
		take_parameter(clause, name, span_trim(parameter));
	}
	if (clause->weight == WEIGHT_ABSENT)
		clause->weight = WEIGHT_ONE;
	return true;
}

/* "text/" and a star against "text/plain". */
static bool
is_wildcard_for(struct span range, struct span type)
{
	if (!span_ends(range, SPAN("/*")))
		return false;
	struct span major = span_first(range, range.len - 1);
	return span_equal_ignoring_case(major, SPAN("*/")) ||
	       (major.len <= type.len &&
		span_equal_ignoring_case(major, span_first(type, major.len)));
}

static bool
has_parameter(struct span given, struct span wanted)
{
	return !wanted.ptr || span_equal_ignoring_case(given, wanted);
}

static bool
satisfies(const struct media_offer *offer, const struct clause *clause)
{
	if (is_wildcard_for(clause->value, offer->type))
		return offer->takes_wildcard;
	return span_equal_ignoring_case(clause->value, offer->type) &&
	       has_parameter(clause->proto, offer->proto) &&
	       has_parameter(clause->encoding, offer->encoding) &&
	       (!clause->version.ptr || has_parameter(clause->version, offer->version));
}

static enum exposition_escaping
find_escaping(struct span name)
{
	unsigned i = 0;
	while (i < EXPOSITION_ESCAPINGS && !span_equal_ignoring_case(name, escapings[i]))
		i++;
	return i < EXPOSITION_ESCAPINGS ? i : EXPOSITION_UNDERSCORES;
}

struct exposition_choice
exposition_negotiate(struct span accept, bool has_openmetrics)
{
	size_t count = has_openmetrics ? EXPOSITION_FORMATS : EXPOSITION_OPENMETRICS_0_0_1;
	struct exposition_choice best = {EXPOSITION_TEXT_0_0_4, EXPOSITION_UNDERSCORES};
	struct clause clause;
	int best_weight = 0;
	while (next_clause(&accept, &clause)) {
		if (clause.weight <= best_weight)
			continue;
		for (size_t i = 0; i < count; i++) {
			if (!satisfies(&offers[i], &clause))
				continue;
			best.format = (enum exposition_format)i;
			best.escaping = find_escaping(clause.escaping);
			best_weight = clause.weight;
			break;
		}
	}
	return best;
}

bool
exposition_negotiate_gzip(struct span accept_encoding)
{
	struct clause clause;
	int gzip = WEIGHT_ABSENT, identity = WEIGHT_ABSENT, any = WEIGHT_ABSENT;
	while (next_clause(&accept_encoding, &clause)) {
		int *weight = NULL;
		if (span_equal_ignoring_case(clause.value, SPAN("gzip")) ||
		    span_equal_ignoring_case(clause.value, SPAN("x-gzip")))
			weight = &gzip;
		else if (span_equal_ignoring_case(clause.value, SPAN("identity")))
			weight = &identity;
		else if (span_equal_ignoring_case(clause.value, SPAN("*")))
			weight = &any;
		if (weight && clause.weight > *weight)
			*weight = clause.weight;
	}
	if (gzip == WEIGHT_ABSENT)
		gzip = any;
	if (identity == WEIGHT_ABSENT)
		identity = any;
	return gzip > 0 && gzip >= identity;
}
