/*
 * exposition/negotiate - what a scraper asks for, from its Accept and Accept-Encoding headers
 * (RFC 9110 sections 12.4.2, 12.5.1 and 12.5.3).
 *
 * Lenient as scrapers need it: unknown parameters, doubled ones and empty list elements are
 * skipped. An element whose weight is not a number from 0 to 1 is left out (Prometheus 2.49.0 sent
 * "q=2" with its catch-all, which must not win).
 */
#ifndef EXPOSITION_NEGOTIATE_H
#define EXPOSITION_NEGOTIATE_H

#include "base/span.h"
#include "exposition/writer.h"

/**
 * Finds the format for the clause with the highest weight that any format satisfies; of equal
 * weights the first clause. Wildcards only mean text 0.0.4, the one format that everybody reads.
 * The escaping is the clause's own, or "underscores" where it names none that is known.
 *
 * @accept          the header's value, ptr NULL when missing
 * @has_openmetrics whether OpenMetrics may be the answer
 * @return how to answer: with text 0.0.4 when nothing matches, since scrapers want no 406
 */
struct exposition_choice exposition_negotiate(struct span accept, bool has_openmetrics);

/**
 * @accept_encoding the header's value, ptr NULL when missing
 * @return whether the answer should be gzip: "gzip" (or "x-gzip", or "*") with a weight above 0
 * that is not below the weight of "identity" (or "*"), where that is given
 */
bool exposition_negotiate_gzip(struct span accept_encoding);

#endif
