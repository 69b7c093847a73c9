/*
 * statsd/tags - tag lists, in a metric name or in a "#" section, into the labels of a head.
 *
 * For statsd/line only. Spelling and faults are statsd_exporter's: a bad tag is skipped and
 * counted, the sample lives. A key that escapes to a reserved label name is a bad tag too.
 */
#ifndef STATSD_TAGS_H
#define STATSD_TAGS_H

#include "statsd/line.h"

/* Collects the tags of one line. */
struct tags {
	struct statsd_head *head; /* labels and scratch are filled */
	size_t accepted;          /* good tags so far, repeated keys included */
	const char *excess; /* the tag that came after TAGS_MAX, or NULL; nothing is read then */
};

/**
 * Takes the tags off a metric name; sets head->name and head->name_tag_errors.
 *
 * SignalFX "a[k=v]b" first; only without brackets Librato "a#k=v" or InfluxDB "a,k=v", whichever
 * byte comes first. The list is split at ',', a tag at its first '='.
 *
 * @name borrowed; the head borrows from it
 */
void tags_read_name(struct tags *tags, struct span name, const struct statsd_options *options);

/**
 * Reads a DogStatsD list "k:v,l:w", the text behind the section's '#'; one more '#' in front of a
 * tag is tolerated, since the PHP client sends it. Bad tags count in head->tag_errors.
 */
void tags_read_section(struct tags *tags, struct span list);

/** Sets the label container_id, which takes the room of a tag. @section for tags->excess */
void tags_set_container_id(struct tags *tags, struct span section, struct span id);

#endif
