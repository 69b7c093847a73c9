/*
 * Bytes become operations on a registry of two ingest threads and up to three readers; a plain
 * model says what must exist, what every reader must show and what every request must be told.
 */
#include "base/check.h"
#include "metrics/histogram.h"
#include "metrics/registry_private.h"

#include <stdlib.h>

#define THREADS 2
#define NAMES 6
#define LABEL_SETS 4
#define SERIES (NAMES * LABEL_SETS)
#define READERS 3
#define SERIES_MAX 9

/* In name order, and clashing in several ways. */
static const struct span names[NAMES] = {{"a", 1},     {"a_bucket", 8}, {"a_count", 7},
					 {"a_sum", 5}, {"b", 1},        {"own", 3}};
static const struct span reserved[] = {{"own_sum", 7}};
/* In output order. */
static const char *const label_values[LABEL_SETS] = {NULL, "\n", "!", "\""};
static const char *const label_texts[LABEL_SETS] = {"", "x=\"\\n\"", "x=\"!\"", "x=\"\\\"\""};

struct model_series {
	unsigned life; /* 0 = does not exist */
	uint32_t tick;
	int64_t ttl_us;
	double sent; /* samples */
};

struct model_family {
	unsigned life; /* of the family, while it has series */
	enum metric_type type;
};

struct model_reader {
	struct reader *reader;
	unsigned name;   /* it is in; NAMES = before the first */
	unsigned family; /* life of the family it is in; 0 = none */
	unsigned lives[LABEL_SETS], next;
	bool is_sure[LABEL_SETS]; /* that it shows them: they were listed when it came */
};

struct known {
	struct series_ref ref;
	unsigned life;
};

struct machine {
	const uint8_t *data;
	size_t size;
	struct grace *grace;
	struct registry *registry;
	struct buf text;
	bool works[THREADS];
	uint32_t tick;
	uint64_t rules;
	unsigned last_life;
	struct model_series series[SERIES];
	bool listed[SERIES]; /* in the output order for sure: a reader was opened since its birth */
	struct model_family families[NAMES];
	struct known known[THREADS][SERIES];
	unsigned
	    kept[READERS * SERIES]; /* lives of families, one for each dead series a reader keeps */
	unsigned kept_count;
	struct model_reader readers[READERS];
};

static unsigned
take(struct machine *machine, unsigned range)
{
	if (!machine->size)
		return 0;
	machine->size--;
	return *machine->data++ % range;
}

/* ---- What a request must be told. ---- */

static bool
has_suffixes(enum metric_type type)
{
	return type == METRIC_HISTOGRAM || type == METRIC_SUMMARY;
}

/* Whether a family of `type` shows samples of this name, or keeps it for itself. */
static bool
shows(struct span family, enum metric_type type, struct span name)
{
	static const struct span suffixes[] = {{"_sum", 4}, {"_count", 6}, {"_bucket", 7}};
	if (span_equal(family, name))
		return true;
	for (size_t i = 0; has_suffixes(type) && i < 3; i++) {
		if (span_starts(name, family) &&
		    span_equal(span_from(name, family.len), suffixes[i]))
			return true;
	}
	return false;
}

static bool
clashes(const struct machine *machine, unsigned name, enum metric_type type)
{
	if (shows(names[name], type, reserved[0]))
		return true;
	for (unsigned i = 0; i < NAMES; i++) {
		const struct model_family *other = &machine->families[i];
		if (i != name && other->life &&
		    (shows(names[i], other->type, names[name]) ||
		     shows(names[name], type, names[i])))
			return true;
	}
	return false;
}

static unsigned
live_count(const struct machine *machine)
{
	unsigned count = 0;
	for (unsigned i = 0; i < SERIES; i++)
		count += machine->series[i].life != 0;
	return count;
}

static enum registry_verdict
expected_verdict(const struct machine *machine, unsigned series, enum metric_type type)
{
	const struct model_family *family = &machine->families[series / LABEL_SETS];
	if (family->life ? family->type != type : clashes(machine, series / LABEL_SETS, type))
		return REGISTRY_CONFLICT;
	if (!machine->series[series].life &&
	    live_count(machine) + machine->kept_count >= SERIES_MAX)
		return REGISTRY_LIMIT;
	return REGISTRY_OK;
}

/* ---- Operations. ---- */

static void
apply(struct machine *machine, unsigned thread, unsigned series, struct cell *cell)
{
	const struct series_ref *ref = &machine->known[thread][series].ref;
	const struct layout *layout = ref->layout;
	cell_set_tick(cell, machine->tick);
	if (layout->type == METRIC_COUNTER)
		counter_add((struct counter_cell *)cell, 1);
	else if (layout->type == METRIC_GAUGE)
		gauge_add((struct gauge_cell *)cell, 1);
	else if (layout->type == METRIC_HISTOGRAM)
		histogram_observe(registry_shard(machine->registry, thread),
				  (struct histogram_cell *)cell, layout, histogram_place(layout, 1),
				  1, 1);
	else
		summary_observe(registry_shard(machine->registry, thread),
				(struct summary_cell *)cell, layout, 1, 1,
				(int64_t)machine->tick * TICK_US);
	machine->series[series].tick = machine->tick;
	machine->series[series].sent++;
}

static struct cell *
known_cell(struct machine *machine, unsigned thread, unsigned series)
{
	const struct series_ref *ref = &machine->known[thread][series].ref;
	if (!ref->incarnation)
		return NULL;
	unsigned pool = ref->layout->pool;
	struct shard *shard = pool == POOL_GAUGES ? registry_gauges(machine->registry)
						  : registry_shard(machine->registry, thread);
	return shard_find(shard, pool, ref->id, ref->incarnation);
}

static void
ask(struct machine *machine, unsigned thread, unsigned series)
{
	static const int64_t ttls[] = {0, 1, 300000, 1000000, 2500000, 20000000};
	static double bounds[] = {1, 2};
	static struct quantile median[] = {{0.5, 0.05}};
	struct histogram_options histogram = {take(machine, 2) + 1, bounds, 1.1, 256};
	struct summary_options summary = {1, median, 3000000, 3, 0};
	struct labels labels = {0};
	const char *value = label_values[series % LABEL_SETS];
	if (value)
		CHECK(labels_set(&labels, SPAN("x"), span_text(value)));
	struct series_request request = {
	    .name = names[series / LABEL_SETS],
	    .type = take(machine, METRIC_TYPES),
	    .histogram = &histogram,
	    .summary = &summary,
	    .ttl_us = ttls[take(machine, sizeof(ttls) / sizeof(ttls[0]))],
	    .help = SPAN("help"),
	    .rules = machine->rules,
	    .tick = machine->tick,
	};
	struct known *known = &machine->known[thread][series];
	enum registry_verdict want = expected_verdict(machine, series, request.type);
	buf_reset(&machine->text);
	registry_prepare(machine->registry, &labels, &machine->text, &request);
	CHECK(registry_find_or_create(machine->registry, thread, &request, &known->ref) == want);
	if (want != REGISTRY_OK)
		return;
	struct model_series *model = &machine->series[series];
	struct model_family *family = &machine->families[series / LABEL_SETS];
	if (!family->life)
		*family = (struct model_family){++machine->last_life, request.type};
	if (!model->life) {
		*model = (struct model_series){.life = ++machine->last_life};
		machine->listed[series] = false;
	}
	model->ttl_us = request.ttl_us;
	model->tick = machine->tick;
	known->life = model->life;
	apply(machine, thread, series, known_cell(machine, thread, series));
}

static void
send(struct machine *machine)
{
	unsigned thread = take(machine, THREADS), series = take(machine, SERIES);
	struct cell *cell = known_cell(machine, thread, series);
	if (!cell) {
		ask(machine, thread, series);
		return;
	}
	/* What a thread knows leads to the series that it was, never to one that came later. */
	CHECK(machine->known[thread][series].life == machine->series[series].life);
	apply(machine, thread, series, cell);
}

/* ---- Readers. ---- */

static void
check_view(const struct machine *machine, unsigned series, const struct series_view *view)
{
	CHECK(span_equal(view->labels, span_text(label_texts[series % LABEL_SETS])));
	double sent = machine->series[series].sent;
	if (has_suffixes(machine->families[series / LABEL_SETS].type))
		CHECK((double)view->count == sent && view->sum == sent);
	else
		CHECK(view->value == sent);
}

static bool
is_listed(const struct machine *machine, unsigned name)
{
	for (unsigned i = 0; i < LABEL_SETS; i++) {
		unsigned series = name * LABEL_SETS + i;
		if (machine->series[series].life && machine->listed[series])
			return true;
	}
	return false;
}

/* What is not a family's life: a kept series whose readers have left. */
#define RELEASED 0

/* Dead series are kept while a reader is in their family... */
static void
release_kept(struct machine *machine)
{
	for (unsigned i = 0; i < machine->kept_count; i++) {
		bool pinned = false;
		for (unsigned r = 0; r < READERS; r++)
			pinned |= machine->readers[r].reader &&
				  machine->readers[r].family == machine->kept[i];
		if (!pinned)
			machine->kept[i] = RELEASED;
	}
}

/* ... and then until the next expiry. */
static void
forget_released(struct machine *machine)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < machine->kept_count; i++) {
		if (machine->kept[i] != RELEASED)
			machine->kept[kept++] = machine->kept[i];
	}
	machine->kept_count = kept;
}

/* A reader may come to families that are listed for sure, and earlier to one whose births are. */
static void
step_family(struct machine *machine, struct model_reader *model)
{
	unsigned name = model->name == NAMES ? 0 : model->name + 1;
	struct family_view view;
	bool found = reader_next_family(model->reader, &view);
	while (name < NAMES && !(found && span_equal(view.name, names[name]))) {
		CHECK(!is_listed(machine, name));
		name++;
	}
	CHECK(found == (name < NAMES));
	if (!found)
		return;
	CHECK(machine->families[name].life && view.type == machine->families[name].type);
	CHECK(span_equal(view.help, SPAN("help")));
	model->name = name;
	model->family = machine->families[name].life;
	model->next = 0;
	for (unsigned i = 0; i < LABEL_SETS; i++) {
		unsigned series = name * LABEL_SETS + i;
		model->lives[i] = machine->series[series].life;
		model->is_sure[i] = machine->listed[series];
	}
	release_kept(machine);
}

static void
step_series(struct machine *machine, struct model_reader *model)
{
	struct series_view view;
	bool found = reader_next_series(model->reader, &view);
	if (!model->family) {
		CHECK(!found);
		return;
	}
	for (; model->next < LABEL_SETS; model->next++) {
		unsigned series = model->name * LABEL_SETS + model->next,
			 life = model->lives[model->next];
		if (!life || machine->series[series].life != life)
			continue;
		if (found && span_equal(view.labels, span_text(label_texts[model->next]))) {
			check_view(machine, series, &view);
			model->next++;
			return;
		}
		CHECK(!model->is_sure[model->next]);
	}
	CHECK(!found);
}

static void
reader_open(struct machine *machine, struct model_reader *model)
{
	*model = (struct model_reader){.name = NAMES};
	model->reader = registry_reader_new(machine->registry, registry_births(machine->registry),
					    (int64_t)machine->tick * TICK_US);
	for (unsigned i = 0; i < SERIES; i++)
		machine->listed[i] = machine->series[i].life != 0;
}

static void
reader_close(struct machine *machine, struct model_reader *model)
{
	reader_free(&model->reader);
	release_kept(machine);
}

static void
step_reader(struct machine *machine)
{
	struct model_reader *model = &machine->readers[take(machine, READERS)];
	unsigned what = take(machine, 8);
	if (!model->reader)
		reader_open(machine, model);
	else if (what == 0)
		reader_close(machine, model);
	else if (what < 4)
		step_family(machine, model);
	else
		step_series(machine, model);
}

/* ---- Time. ---- */

static void
bury(struct machine *machine, unsigned series)
{
	unsigned name = series / LABEL_SETS;
	struct model_family *family = &machine->families[name];
	machine->series[series].life = 0;
	machine->kept[machine->kept_count++] = family->life;
	release_kept(machine);
	for (unsigned i = 0; i < LABEL_SETS; i++) {
		if (machine->series[name * LABEL_SETS + i].life)
			return;
	}
	family->life = 0;
}

/* Reads everything and learns which of those whose time was over are gone. */
static void
learn_deaths(struct machine *machine, bool finished)
{
	bool shown[SERIES] = {false};
	struct model_reader all;
	struct family_view family;
	struct series_view view;
	reader_open(machine, &all);
	while (reader_next_family(all.reader, &family)) {
		unsigned name = 0;
		while (!span_equal(names[name], family.name))
			CHECK(++name < NAMES);
		while (reader_next_series(all.reader, &view)) {
			unsigned i = 0;
			while (!span_equal(span_text(label_texts[i]), view.labels))
				CHECK(++i < LABEL_SETS);
			CHECK(!shown[name * LABEL_SETS + i]);
			shown[name * LABEL_SETS + i] = true;
			check_view(machine, name * LABEL_SETS + i, &view);
		}
	}
	reader_free(&all.reader);
	for (unsigned i = 0; i < SERIES; i++) {
		const struct model_series *series = &machine->series[i];
		int64_t age_us = ((int64_t)machine->tick - series->tick) * TICK_US;
		CHECK(shown[i] <= (series->life != 0));
		if (!series->life)
			continue;
		bool may_go = series->ttl_us && age_us > series->ttl_us;
		CHECK(shown[i] || may_go);
		CHECK(!shown[i] || !finished || !may_go || age_us <= series->ttl_us + 1000000);
		if (!shown[i])
			bury(machine, i);
	}
}

static void
expire(struct machine *machine)
{
	/* So few series are one slice: one call finds them, one ends them, one goes round once more, and
	 * one makes the pass that is due behind one that had to wait for a reader. */
	bool waits = true;
	for (unsigned calls = 0; waits && calls < 4; calls++)
		waits = registry_expire(machine->registry, machine->tick);
	CHECK(!waits || machine->works[0] || machine->works[1]);
	learn_deaths(machine, !waits);
	forget_released(machine);
}

static void
switch_work(struct machine *machine)
{
	unsigned thread = take(machine, THREADS);
	if (machine->works[thread])
		grace_end(machine->grace, thread);
	else
		grace_begin(machine->grace, thread);
	machine->works[thread] = !machine->works[thread];
}

/* New rules: what was known by the old ones is void. */
static void
reload(struct machine *machine)
{
	memset(machine->known, 0, sizeof(machine->known));
	registry_forget_rules(machine->registry, ++machine->rules);
}

/* Of what lists all births, so little that it stops anywhere. */
static void
list_some(struct machine *machine)
{
	uint64_t births = registry_births(machine->registry);
	if (!registry_list_some(machine->registry, births, 1 + take(machine, 256)))
		return;
	for (unsigned i = 0; i < SERIES; i++)
		machine->listed[i] = machine->series[i].life != 0;
}

static void
step(struct machine *machine)
{
	unsigned what = take(machine, 256);
	if (what >= 248) {
		reload(machine);
		return;
	}
	if (what >= 224) {
		list_some(machine);
		return;
	}
	switch (what % 8) {
	case 0:
	case 1:
		send(machine);
		break;
	case 2: {
		unsigned thread = take(machine, THREADS);
		ask(machine, thread, take(machine, SERIES));
		break;
	}
	case 3:
		machine->tick += take(machine, 30);
		expire(machine);
		break;
	case 4:
		switch_work(machine);
		break;
	case 5:
		registry_free_retired(machine->registry);
		shard_rotate(registry_shard(machine->registry, take(machine, THREADS)),
			     (int64_t)machine->tick * TICK_US, 1000);
		break;
	default:
		step_reader(machine);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine *machine = calloc(1, sizeof(*machine));
	*machine = (struct machine){.data = data, .size = size, .tick = 1, .text = BUF_INIT};
	machine->grace = grace_new(THREADS);
	machine->registry = registry_new(&(struct registry_settings){
	    .threads = THREADS,
	    .max_series = SERIES_MAX,
	    .grace = machine->grace,
	    .reserved = reserved,
	    .reserved_count = 1,
	});
	while (machine->size) {
		step(machine);
		uint64_t count = 0;
		for (enum metric_type type = 0; type < METRIC_TYPES; type++)
			count += registry_series_count(machine->registry, type);
		CHECK(count == live_count(machine));
	}
	for (unsigned i = 0; i < READERS; i++)
		reader_free(&machine->readers[i].reader);
	registry_free(&machine->registry);
	grace_free(&machine->grace);
	buf_fini(&machine->text);
	free(machine);
	return 0;
}
