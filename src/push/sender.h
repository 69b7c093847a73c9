/*
 * push/sender - sends the requests of a queue to a receiver, on a thread of its own. The only place
 * that knows libcurl.
 *
 * A thread, and not the loop of whoever writes the requests, since TLS handshakes, the reading of
 * certificates and secrets, and names that must be looked up can each take longer than a slice of a
 * scrape may. Nothing is shared with it but the queue.
 *
 * At most PUSH_CONNECTIONS requests of one group are under way at once. What fails for now is sent
 * again, ever more rarely; see push/verdict.h. The head of an answer decides, if it is whole: of
 * its body only the beginning is read, for the log and for push_denies_native(). Redirects are not
 * followed.
 */
#ifndef PUSH_SENDER_H
#define PUSH_SENDER_H

#include "base/buf.h"
#include "push/queue.h"
#include "push/verdict.h"

/* A receiver that is 50 ms away takes 160,000 samples a second so. */
#define PUSH_CONNECTIONS 4

/* All borrowed; texts are "" where there is none. */
struct push_sender_settings {
	const char *url; /* as push_url_check() wants it */
	int64_t
	    timeout_us; /* of one request, from the look-up of the name to the end of the answer */
	const char *const *headers; /* as push_header_check() wants them */
	size_t header_count;
	/* Files with secrets are read anew for each request. */
	const char *bearer_token_file;
	const char *username, *password_file;
	const char *ca_file; /* "" = the system's */
	const char *cert_file,
	    *key_file; /* of the client; both or none. Read for each connection */
	enum push_protocol_choice protocol;
	size_t queue_bytes;
};

/** @return whether it is an http or https URL with a host, without user, password and fragment */
bool push_url_check(const char *url) MUST_CHECK;

/** @return NULL, or what is wrong with "Name: value" */
const char *push_header_check(const char *header) MUST_CHECK;

/**
 * Reads a file with one secret, without the white space around it.
 *
 * @secret gets it appended
 * @error  gets what is wrong
 */
bool push_secret_read(const char *path, struct buf *secret, struct buf *error) MUST_CHECK;

struct push_sender;

/** Before threads start. */
struct push_sender *push_sender_new(const struct push_sender_settings *settings);
/** Starts the thread. @return 0 or an errno value */
int push_sender_start(struct push_sender *sender) MUST_CHECK;
/** Ends the thread, once the queue is empty, but no later than at `deadline_us` (monotonic). */
void push_sender_stop(struct push_sender *sender, int64_t deadline_us);
/** Frees the sender; stops it at once if that was not done. */
void push_sender_free(struct push_sender **sender);

/** Puts a message into the queue; see push/queue.h. */
void push_sender_add(struct push_sender *sender, uint64_t group,
		     const struct push_message *message);

/** @return in which protocol the next pass is to be written, as of now; any thread */
enum push_protocol push_sender_protocol(const struct push_sender *sender);

/** @return whether the next pass is to have native histograms, as of now; any thread */
bool push_sender_takes_native(const struct push_sender *sender);

/** @return the queue, for its account; owned by the sender */
struct push_queue *push_sender_queue(const struct push_sender *sender);

#endif
