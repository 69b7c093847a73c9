/*
 * app/target_api - HTTP service discovery: what Prometheus asks (GET /sd), and how clients register
 * what it is to scrape (/api/v1/targets). Handlers for app/routes; control thread only.
 */
#ifndef APP_TARGET_API_H
#define APP_TARGET_API_H

#include "app/options.h"
#include "app/target_store.h"
#include "base/diag.h"
#include "http/server.h"

#define TARGET_API_LIST "/api/v1/targets"
#define TARGET_API_GROUP "/api/v1/targets/"
#define TARGET_API_SD "/sd"

/* Why a change was refused. */
enum target_refusal {
	TARGET_REFUSED_OFF, /* without --web.enable-target-api */
	TARGET_REFUSED_UNAUTHORIZED,
	TARGET_REFUSED_BAD_REQUEST,
	TARGET_REFUSED_LIMIT,
	TARGET_REFUSED_UNKNOWN_GROUP,
	TARGET_REFUSED_NOT_WRITTEN, /* the token or state file is not good */
	TARGET_REFUSED_BUSY,        /* too many wait for the disk, or it was waited for too long */
	TARGET_REFUSED_ABANDONED,   /* the client left before it was written */
	TARGET_REFUSED_UNDECIDED, /* it was being written for too long, and may yet come into force
				   */
	TARGET_REFUSALS
};

/** @return the value of the label `reason` */
const char *target_refusal_text(enum target_refusal refusal);

struct target_api {
	const struct options *options;
	struct target_store *store; /* owned by the daemon */
	uint64_t refused[TARGET_REFUSALS];
};

/**
 * Checks what can be known without opening anything: that beyond loopback there is a token, and
 * that the token file is good.
 *
 * @diag its places borrow texts of `options`
 * @return whether it is
 */
bool target_api_check(const struct options *options, struct diag *diag) MUST_CHECK;

/* Each fills the reply, or puts the answer off. */

/** GET /sd: all targets, in the order of their groups' names. */
void target_api_sd(struct target_api *api, const struct http_request *request,
		   struct http_reply *reply);
/** GET /api/v1/targets: all groups. */
void target_api_list(struct target_api *api, const struct http_request *request,
		     struct http_reply *reply);
/**
 * Refuses who may not change /api/v1/targets/<group>, by the headers alone.
 *
 * @return false with the reply filled
 */
bool target_api_admit(struct target_api *api, const struct http_request *request,
		      struct http_reply *reply);
/** GET, PUT and DELETE of /api/v1/targets/<group>, by those whom target_api_admit() let in. */
void target_api_group(struct target_api *api, const struct http_request *request,
		      struct http_reply *reply);

#endif
