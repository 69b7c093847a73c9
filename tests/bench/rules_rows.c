#include "bench.h"

#include "replay.h"
#include "samples.h"
#include "table.h"

#include <stdio.h>
#include <unistd.h>

#define ROUNDS 5       /* of births */
#define LINE_ROUNDS 15 /* many and short: what drifts hits all alike */
#define RULES 1000
#define NEW_NAMES 100000
#define CORPUS (32u << 20) /* bytes */
#define LINES 300000       /* of one measurement */

enum rules { RULES_NONE, RULES_GLOB, RULES_REGEX, RULES_KINDS };

/*
 * Half of the rules differ in their first component, half in a later one, and none is for the names
 * of the traffic; each new name is for one of them.
 */
static void
write_rule(enum rules kind, unsigned one, struct buf *out)
{
	if (kind == RULES_GLOB)
		buf_printf(out,
			   one % 2 ? "- match: \"fleet.*.app%u.*\"\n" : "- match: \"app%u.*.*\"\n",
			   one);
	else
		buf_printf(out,
			   one % 2 ? "- match: \"^fleet\\\\.([^.]+)\\\\.app%u\\\\.([^.]+)$\"\n"
				   : "- match: \"^app%u\\\\.([^.]+)\\\\.([^.]+)$\"\n",
			   one);
	if (kind == RULES_REGEX)
		buf_add_text(out, "  match_type: regex\n");
	buf_printf(out, "  name: \"app%u_requests\"\n  labels: {host: \"$1\", code: \"$2\"}\n",
		   one);
}

static void
write_rules(enum rules kind, const char *path)
{
	struct buf more = BUF_INIT;
	if (kind != RULES_NONE)
		buf_add_text(&more, "mappings:\n");
	for (unsigned one = 0; one < RULES && kind != RULES_NONE; one++)
		write_rule(kind, one, &more);
	population_write_mapping(path, buf_text(&more));
	buf_fini(&more);
}

/* Names that no replay has met before. */
static struct packets *
new_names(unsigned round)
{
	struct buf lines = BUF_INIT;
	struct draw draw = {round};
	for (unsigned i = 0; i < NEW_NAMES; i++) {
		unsigned rule = draw_below(&draw, RULES), host = round * NEW_NAMES + i;
		if (rule % 2)
			buf_printf(&lines, "fleet.web-%07u.app%u.200:1|c\n", host, rule);
		else
			buf_printf(&lines, "app%u.web-%07u.200:1|c\n", rule, host);
	}
	struct packets *packets = packets_of_lines(buf_span(&lines), 1432);
	buf_fini(&lines);
	return packets;
}

static void
report(const struct samples *births, const struct samples *known)
{
	double glob = samples_median(births[RULES_GLOB]) / 1e3;
	double regex = samples_median(births[RULES_REGEX]) / 1e3;
	if (table_wants("GLOB"))
		table_set("GLOB", glob, "the whole birth of its series");
	if (table_wants("REGEX"))
		table_set("REGEX", regex, "the whole birth of its series");
	double with_glob = samples_median(known[RULES_GLOB]);
	double with_regex = samples_median(known[RULES_REGEX]);
	double worst = with_glob > with_regex ? with_glob : with_regex;
	if (table_wants("RULES"))
		table_set("RULES", worst / samples_median(known[RULES_NONE]),
			  "glob %.1f, regex %.1f, none %.1f ns a line", with_glob, with_regex,
			  samples_median(known[RULES_NONE]));
}

void
bench_rules(struct bench *bench)
{
	if (!table_wants("GLOB,REGEX,RULES"))
		return;
	struct population *population = population_new(10000, POPULATION_MIXED);
	struct packets *packets = packets_new(
	    population,
	    &(struct packets_plan){.choice = POPULATION_ZIPF, .size = 1432, .total = CORPUS});
	struct replay *replays[RULES_KINDS];
	struct samples births[RULES_KINDS] = {0}, known[RULES_KINDS] = {0};
	for (int kind = 0; kind < RULES_KINDS; kind++) {
		char path[128];
		snprintf(path, sizeof(path), "%s/rules.yml", bench->directory);
		write_rules((enum rules)kind, path);
		replays[kind] = replay_new(path, 1);
		unlink(path);
		replay_run(replays[kind], 0, packets, REPLAY_INGEST, packets->total_lines);
	}
	for (unsigned round = 0; round < LINE_ROUNDS; round++)
		for (int kind = 0; kind < RULES_KINDS; kind++)
			samples_add(&known[kind],
				    replay_run(replays[kind], 0, packets, REPLAY_INGEST, LINES));
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct packets *fresh = new_names(round);
		for (int kind = RULES_GLOB; kind < RULES_KINDS; kind++)
			samples_add(&births[kind], replay_once(replays[kind], fresh));
		packets_free(&fresh);
	}
	report(births, known);
	for (int kind = 0; kind < RULES_KINDS; kind++)
		replay_free(&replays[kind]);
	packets_free(&packets);
	population_free(&population);
}
