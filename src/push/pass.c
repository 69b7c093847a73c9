#include "push/pass.h"

#include "base/alloc.h"

#include <stdlib.h>

/* Series read at once, as a scrape does it. */
#define BATCH_SERIES 32

struct push_pass {
	struct push_pass_settings settings;
	struct push_ended *ended; /* owned */
	struct reader *reader;    /* owned */
	struct push_writer *writer;
	uint64_t group;
	struct family_view family;
	bool is_in_family;
};

static void
take(void *ctx, const struct push_message *message)
{
	struct push_pass *pass = ctx;
	pass->settings.take(pass->settings.ctx, pass->group, message);
}

int64_t
push_next_timestamp(int64_t last_ms, int64_t now_ms)
{
	/* Between two passes there is room for the markers of the second. */
	bool goes_on = now_ms >= last_ms + 2 || now_ms <= last_ms - PUSH_CLOCK_SET_BACK_MS;
	return goes_on ? now_ms : last_ms + 2;
}

struct push_pass *
push_pass_new(const struct push_pass_settings *settings, struct push_ended **ended,
	      struct reader **reader)
{
	struct push_pass *pass = xcalloc(1, sizeof(*pass));
	pass->settings = *settings;
	pass->ended = *ended;
	*ended = push_ended_new();
	pass->reader = *reader;
	*reader = NULL;
	pass->group = settings->group;
	pass->writer = push_writer_new(settings->protocol, settings->external,
				       settings->with_native, take, pass);
	push_writer_want_exemplars(pass->writer, settings->last_ms);
	push_writer_leave_out_twins(pass->writer, pass->reader);
	reader_want(pass->reader, READER_EXEMPLARS | (settings->with_native ? READER_NATIVE : 0));
	return pass;
}

void
push_pass_free(struct push_pass **slot)
{
	struct push_pass *pass = *slot;
	*slot = NULL;
	if (!pass)
		return;
	push_ended_free(&pass->ended);
	reader_free(&pass->reader);
	push_writer_free(&pass->writer);
	free(pass);
}

/* Writes the markers of the next series that has ended. */
static void
add_ended(struct push_pass *pass)
{
	struct series_view series;
	if (push_ended_take(pass->ended, &pass->family, &series)) {
		push_writer_begin_family(pass->writer, &pass->family, false);
		push_writer_add_end(pass->writer, &series, pass->settings.timestamp_ms - 1);
		return;
	}
	push_writer_flush(pass->writer);
	push_ended_free(&pass->ended);
	pass->group++;
}

/* @return false when there is none */
static bool
begin_family(struct push_pass *pass)
{
	pass->is_in_family = reader_next_family(pass->reader, &pass->family);
	if (pass->is_in_family)
		push_writer_begin_family(pass->writer, &pass->family, pass->settings.with_metadata);
	else
		push_writer_flush(pass->writer);
	return pass->is_in_family;
}

static void
add_batch(struct push_pass *pass)
{
	struct series_view batch[BATCH_SERIES];
	size_t count = reader_next_batch(pass->reader, batch, BATCH_SERIES);
	push_writer_add_series(pass->writer, batch, count, pass->settings.timestamp_ms);
	pass->is_in_family = count > 0;
}

bool
push_pass_step(struct push_pass *pass)
{
	uint64_t end = push_writer_bytes(pass->writer) + PUSH_SLICE_BYTES;
	while (push_writer_bytes(pass->writer) < end) {
		if (pass->ended)
			add_ended(pass);
		else if (pass->is_in_family)
			add_batch(pass);
		else if (!begin_family(pass))
			return false;
	}
	return true;
}

uint64_t
push_pass_samples(const struct push_pass *pass)
{
	return push_writer_samples(pass->writer);
}

uint64_t
push_pass_twin_samples(const struct push_pass *pass)
{
	return push_writer_twin_samples(pass->writer);
}
