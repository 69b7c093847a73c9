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

/* A media type that can be answered with. Compared without regard to case. */
struct media_offer {
	struct span type;    /* "text/plain" */
	struct span version; /* a `version` parameter must be this; ptr NULL = may be any */
	struct span proto;   /* there must be this `proto` parameter; ptr NULL = need not */
	bool takes_wildcard; /* whether a wildcard that includes the type means this offer */
};

/**
 * Finds the offer for the clause with the highest weight that any offer satisfies; of equal weights
 * the first clause, of equal offers the first offer.
 *
 * @accept the header's value, ptr NULL when missing
 * @return an index into `offers`, or `count` when nothing matches
 */
size_t exposition_negotiate_offer(struct span accept, const struct media_offer *offers,
				  size_t count);

/**
 * @accept the header's value, ptr NULL when missing
 * @return the format to answer with; text 0.0.4 when nothing matches, since scrapers want no 406
 */
enum exposition_format exposition_negotiate_format(struct span accept);

/**
 * @accept_encoding the header's value, ptr NULL when missing
 * @return whether the answer should be gzip: "gzip" (or "x-gzip", or "*") with a weight above 0
 * that is not below an explicit identity weight
 */
bool exposition_negotiate_gzip(struct span accept_encoding);

#endif
