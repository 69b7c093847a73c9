/*
 * A bridge without sockets, driven by hand: what the tests of the whole push and pull path share.
 * Time is base/clock's fake time; call clock_fake() before pipeline_init().
 */
#ifndef TESTS_APP_PIPELINE_H
#define TESTS_APP_PIPELINE_H

#include "app/ingest.h"
#include "base/alloc.h"
#include "base/check.h"
#include "exposition/writer.h"
#include "metrics/family_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIPELINE_FILES_MAX 3

struct pipeline_files {
	char paths[PIPELINE_FILES_MAX][64];
	const char *list[PIPELINE_FILES_MAX]; /* the paths; borrowed by the bridge */
	size_t count;
};

/* May be copied. */
struct pipeline {
	struct bridge *bridge;
	struct pipeline_files *mapping; /* owned; NULL = none */
};

/* statsd_exporter's defaults, as the command line has them. */
static inline struct bridge_settings
pipeline_defaults(void)
{
	return (struct bridge_settings){
	    .threads = 1,
	    .max_series = 10000,
	    .statsd = {true, true, true, true, .container_id_label = true},
	    .prefix = "statsbridge",
	};
}

/** @file number of the mapping file, from 0 */
static inline void
pipeline_write_mapping(struct pipeline *p, size_t file, struct span mapping)
{
	CHECK(p->mapping && file < p->mapping->count);
	FILE *out = fopen(p->mapping->paths[file], "w");
	CHECK(out && fwrite(mapping.ptr, 1, mapping.len, out) == mapping.len);
	CHECK(fclose(out) == 0);
}

static inline void
pipeline_add_mapping(struct pipeline *p, const char *mapping)
{
	struct pipeline_files *files = p->mapping;
	CHECK(files->count < PIPELINE_FILES_MAX);
	char *path = files->paths[files->count];
	strcpy(path, "/tmp/statsbridge-test-XXXXXX");
	int fd = mkstemp(path);
	CHECK(fd >= 0 && close(fd) == 0);
	files->list[files->count++] = path;
	pipeline_write_mapping(p, files->count - 1, span_text(mapping));
}

/** @mappings texts of the mapping files; @return false when they have errors (in `diag`) */
static inline bool MUST_CHECK
pipeline_init_files(struct pipeline *p, struct bridge_settings settings,
		    const char *const *mappings, size_t count, struct diag *diag)
{
	*p = (struct pipeline){0};
	if (count)
		p->mapping = xcalloc(1, sizeof(*p->mapping));
	for (size_t i = 0; i < count; i++)
		pipeline_add_mapping(p, mappings[i]);
	settings.mapping_files = count ? p->mapping->list : NULL;
	settings.mapping_file_count = count;
	p->bridge = bridge_new(&settings, diag);
	return p->bridge != NULL;
}

/** The same with one file. @mapping NULL = none */
static inline bool MUST_CHECK
pipeline_init(struct pipeline *p, struct bridge_settings settings, const char *mapping,
	      struct diag *diag)
{
	return pipeline_init_files(p, settings, &mapping, mapping != NULL, diag);
}

static inline void
pipeline_fini(struct pipeline *p)
{
	bridge_free(&p->bridge);
	for (size_t i = 0; p->mapping && i < p->mapping->count; i++)
		unlink(p->mapping->paths[i]);
	free(p->mapping);
	p->mapping = NULL;
}

/** One wake-up of an ingest thread with one payload, copied so that sanitizers see its end. */
static inline void
pipeline_send(struct pipeline *p, unsigned thread, struct span payload)
{
	struct ingest *ingest = p->bridge->ingests[thread];
	char *exact = xmalloc(payload.len ? payload.len : 1);
	if (payload.len)
		memcpy(exact, payload.ptr, payload.len);
	grace_begin(p->bridge->grace, thread);
	ingest_begin(ingest);
	ingest_payload(ingest, span_of(exact, payload.len));
	ingest_flush(ingest);
	grace_end(p->bridge->grace, thread);
	free(exact);
}

/** What the control thread does every second, until nothing waits any more. */
static inline void
pipeline_tick(struct pipeline *p)
{
	uint32_t tick = (uint32_t)(bridge_now_us(p->bridge) / TICK_US) + 1;
	for (unsigned turns = 0; registry_expire(p->bridge->registry, tick); turns++)
		CHECK(turns < 100);
	for (unsigned i = 0; i < p->bridge->settings.threads; i++) {
		ingest_begin(p->bridge->ingests[i]);
		ingest_rotate(p->bridge->ingests[i]);
	}
	registry_free_retired(p->bridge->registry);
	bridge_collect(p->bridge);
}

/** Appends what a scrape shows of the clients' metrics. */
static inline void
pipeline_expose_as(struct pipeline *p, enum exposition_format format, struct buf *out)
{
	struct registry *registry = p->bridge->registry;
	struct reader *reader = registry_reader_new(registry, registry_births(registry),
						    bridge_now_us(p->bridge));
	struct exposition_writer *writer = exposition_writer_new(format, false, &reader);
	while (!exposition_writer_fill(writer, out, out->len + 1))
		;
	exposition_writer_free(&writer);
}

static inline void
pipeline_expose(struct pipeline *p, struct buf *out)
{
	pipeline_expose_as(p, EXPOSITION_TEXT_0_0_4, out);
}

/** @return all threads' counts; freed with free() */
static inline struct account *
pipeline_account(const struct pipeline *p)
{
	struct account *total = xcalloc(1, sizeof(*total));
	bridge_total(p->bridge, total);
	return total;
}

/* ---- Own counters by name. ---- */

static inline uint64_t
account_sum(const struct account *account, unsigned from, unsigned count)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < count; i++)
		sum += account_get(account, from + i);
	return sum;
}

static inline void
account_add_text(struct buf *out, const char *name, const char *label, const char *value,
		 uint64_t n)
{
	if (!n)
		return;
	buf_add_text(out, name);
	if (label)
		buf_printf(out, "{%s=\"%s\"}", label, value);
	buf_printf(out, "=%llu\n", (unsigned long long)n);
}

/** Appends "name=n\n" or `name{label="value"}=n\n` for each own counter that is not zero. */
static inline void
account_format(const struct account *account, struct buf *out)
{
	static const struct {
		const char *name;
		unsigned counter;
	} plain[] = {
	    {"lines_total", ACCOUNT_LINES},
	    {"lines_empty_total", ACCOUNT_LINES_EMPTY},
	    {"lines_event_total", ACCOUNT_LINES_EVENT},
	    {"lines_check_total", ACCOUNT_LINES_CHECK},
	    {"lines_with_samples_total", ACCOUNT_LINES_WITH_SAMPLES},
	    {"event_repairs_total", ACCOUNT_EVENT_REPAIRS},
	    {"samples_total", ACCOUNT_SAMPLES},
	    {"samples_applied_total", ACCOUNT_SAMPLES_APPLIED},
	    {"tags_total", ACCOUNT_TAGS},
	    {"tag_errors_total", ACCOUNT_TAG_ERRORS},
	    {"events_unmapped_total", ACCOUNT_EVENTS_UNMAPPED},
	};
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		account_add_text(out, plain[i].name, NULL, NULL,
				 account_get(account, plain[i].counter));
	for (unsigned i = 0; i < STATSD_REASONS; i++) {
		const char *reason = statsd_reason_text(i);
		account_add_text(out, "lines_refused_total", "reason", reason,
				 account_get(account, ACCOUNT_LINES_REFUSED + i));
		account_add_text(out, "sample_errors_total", "reason", reason,
				 account_get(account, ACCOUNT_SAMPLE_ERRORS + i));
	}
	for (unsigned i = 0; i < DROP_REASONS; i++) {
		const char *reason = drop_reason_text(i);
		account_add_text(out, "samples_dropped_total", "reason", reason,
				 account_get(account, ACCOUNT_SAMPLES_DROPPED + i));
		account_add_text(out, "events_error_total", "reason", reason,
				 account_get(account, ACCOUNT_EVENTS_ERROR + i));
	}
	for (unsigned i = 0; i < EVENT_KINDS; i++)
		account_add_text(out, "events_total", "type", event_kind_text(i),
				 account_get(account, ACCOUNT_EVENTS + i));
	account_add_text(out, "events_actions_total", "action", "map",
			 account_get(account, ACCOUNT_EVENTS_MAPPED));
	account_add_text(out, "events_actions_total", "action", "drop",
			 account_get(account, ACCOUNT_EVENTS_DROPPED));
	account_add_text(
	    out, "events_conflict_total", NULL, NULL,
	    account_sum(account, ACCOUNT_CONFLICTS, ACCOUNT_REPLACED_VALUES - ACCOUNT_CONFLICTS));
}

/** @return whether each line and each sample has been counted exactly once */
static inline bool
account_is_balanced(const struct account *account)
{
	uint64_t lines = account_get(account, ACCOUNT_LINES_EMPTY) +
			 account_get(account, ACCOUNT_LINES_EVENT) +
			 account_get(account, ACCOUNT_LINES_CHECK) +
			 account_get(account, ACCOUNT_LINES_WITH_SAMPLES) +
			 account_sum(account, ACCOUNT_LINES_REFUSED, STATSD_REASONS);
	uint64_t samples = account_get(account, ACCOUNT_SAMPLES_APPLIED) +
			   account_sum(account, ACCOUNT_SAMPLES_DROPPED, DROP_REASONS);
	return lines == account_get(account, ACCOUNT_LINES) &&
	       samples == account_get(account, ACCOUNT_SAMPLES);
}

#endif
