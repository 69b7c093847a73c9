#include "push/verdict.h"

#include <string.h>

#define UNSUPPORTED_MEDIA_TYPE 415
#define TOO_MANY_REQUESTS 429
#define BAD_REQUEST 400

static bool
is_success(const struct push_answer *answer)
{
	return answer->status >= 200 && answer->status < 300;
}

/* Whether an answer to 2.0 is one of a receiver that knows 1.0 only, which may say 400 for 415. */
static bool
is_of_old_receiver(const struct push_answer *answer, bool confirmed)
{
	/* To such a receiver the message is one without series, which it takes, and no header. */
	if (is_success(answer))
		return !answer->has_written;
	return answer->status == UNSUPPORTED_MEDIA_TYPE ||
	       (answer->status == BAD_REQUEST && !confirmed && !answer->has_written);
}

/*
 * Prometheus before 3.8, without its flag: ErrNativeHistogramsDisabled in storage/interface.go,
 * which storage/remote/write_handler.go makes the body of a 500, and stores nothing of the request.
 * Only the words tell it from a failure that passes.
 */
bool
push_denies_native(struct span body)
{
	static const struct span words = SPAN("native histograms are disabled");
	return memmem(body.ptr, body.len, words.ptr, words.len) != NULL;
}

enum push_verdict
push_judge(const struct push_answer *answer, enum push_protocol request,
	   enum push_protocol_choice choice, bool confirmed)
{
	if (answer->status >= BAD_REQUEST && answer->denies_native)
		return PUSH_WITHOUT_NATIVE;
	if (request == PUSH_PROTOCOL_2 && is_of_old_receiver(answer, confirmed))
		return choice == PUSH_CHOICE_AUTO ? PUSH_TRANSLATE : PUSH_REFUSED;
	if (is_success(answer))
		return PUSH_SENT;
	if (!answer->status || answer->status >= 500 || answer->status == TOO_MANY_REQUESTS)
		return PUSH_RETRY;
	return PUSH_REFUSED;
}

size_t
push_samples_taken(const struct push_answer *answer, enum push_verdict verdict,
		   enum push_protocol request, size_t samples)
{
	if (request == PUSH_PROTOCOL_1)
		return verdict == PUSH_SENT ? samples : 0;
	return answer->written < samples ? (size_t)answer->written : samples;
}

void
push_backoff_fail(struct push_backoff *backoff, int64_t now_us, int64_t retry_after_us,
		  uint64_t random)
{
	if (now_us >= backoff->until_us) {
		int64_t twice = backoff->delay_us ? backoff->delay_us * 2 : PUSH_BACKOFF_FIRST_US;
		backoff->delay_us = twice < PUSH_BACKOFF_MOST_US ? twice : PUSH_BACKOFF_MOST_US;
		int64_t half = backoff->delay_us / 2;
		backoff->until_us = now_us + half + (int64_t)(random % (uint64_t)half);
	}
	if (retry_after_us > PUSH_RETRY_AFTER_MOST_US)
		retry_after_us = PUSH_RETRY_AFTER_MOST_US;
	if (backoff->until_us < now_us + retry_after_us)
		backoff->until_us = now_us + retry_after_us;
}

void
push_backoff_succeed(struct push_backoff *backoff, int64_t now_us)
{
	if (now_us >= backoff->until_us)
		*backoff = (struct push_backoff){0};
}
