#include "metrics/registry_private.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "metrics/label_text.h"
#include "metrics/window.h"

#include <stdlib.h>

/* ---- Making and freeing. ---- */

struct registry *
registry_new(const struct registry_settings *settings)
{
	struct registry *registry = xcalloc(1, sizeof(*registry));
	CHECK(settings->max_series < UINT32_MAX);
	pthread_mutex_init(&registry->lock, NULL);
	registry->threads = settings->threads;
	registry->max_series = settings->max_series;
	registry->grace = settings->grace;
	registry->reserves_created = settings->reserves_created;
	registry->start_ms = settings->start_ms;
	registry->left_scope = settings->left_scope;
	registry->left_scope_ctx = settings->left_scope_ctx;
	slots_init(&registry->lives, sizeof(struct series_life));
	registry->layouts = layouts_new();
	registry->shards = xcalloc(settings->threads + 1, sizeof(struct shard *));
	for (unsigned i = 0; i <= settings->threads; i++)
		registry->shards[i] = shard_new((uint32_t)settings->max_series + 1);
	for (size_t i = 0; i < settings->reserved_count; i++) {
		struct span *name = xmalloc(sizeof(*name));
		*name = settings->reserved[i];
		index_add(&registry->reserved, hash_bytes64(name->ptr, name->len), name);
	}
	registry->expiry = expiry_new(0);
	return registry;
}

void
series_free(struct registry *registry, struct series *series)
{
	struct series_life *life = atomic_load_explicit(&series->life, memory_order_relaxed);
	if (life)
		slots_give_back(&registry->lives, life);
	slab_free(&registry->slab, series, series_bytes(series->text_len));
}

void
series_clear_cells(struct registry *registry, const struct series *series)
{
	const struct layout *layout = series_layout(registry, series);
	for (unsigned i = 0; i <= registry->threads; i++)
		shard_clear(registry->shards[i], layout, series->id);
}

void
family_free(struct family *family)
{
	series_list_release(&family->list);
	free(family->births);
	free(family->help);
	free(family->name);
	free(family);
}

static void
free_all_series(struct registry *registry)
{
	for (size_t n = 0; n < SERIES_SEGMENTS; n++) {
		struct index *segment = &registry->series[n];
		for (size_t i = 0; i < segment->size; i++) {
			struct series *series = segment->slots[i].item;
			if (!series)
				continue;
			if (shard_cells_own(series_layout(registry, series)))
				series_clear_cells(registry, series);
			series_free(registry, series);
		}
		index_fini(segment);
	}
}

void
registry_free(struct registry **slot)
{
	struct registry *registry = *slot;
	if (!registry)
		return;
	while (registry_clean(registry))
		;
	listing_fini(&registry->listing);
	free_all_series(registry);
	slab_fini(&registry->slab);
	slots_fini(&registry->lives);
	for (size_t i = 0; i < registry->families.size; i++) {
		if (registry->families.slots[i].item)
			family_free(registry->families.slots[i].item);
	}
	for (size_t i = 0; i < registry->reserved.size; i++)
		free(registry->reserved.slots[i].item);
	for (size_t i = 0; i < registry->name_sets.size; i++)
		free(registry->name_sets.slots[i].item);
	index_fini(&registry->name_sets);
	index_fini(&registry->families);
	index_fini(&registry->reserved);
	for (unsigned i = 0; i <= registry->threads; i++)
		shard_free(&registry->shards[i]);
	for (unsigned i = 0; i < POOLS; i++)
		free(registry->ids[i].free);
	free(registry->shards);
	free(registry->sorted);
	free(registry->dying);
	free(registry->dying_since);
	expiry_free(&registry->expiry);
	layouts_free(&registry->layouts);
	pthread_mutex_destroy(&registry->lock);
	free(registry);
	*slot = NULL;
}

struct shard *
registry_shard(struct registry *registry, unsigned thread)
{
	CHECK(thread < registry->threads);
	return registry->shards[thread];
}

struct shard *
registry_gauges(struct registry *registry)
{
	return registry->shards[registry->threads];
}

uint64_t
registry_frees(const struct registry *registry)
{
	return atomic_load_explicit(&registry->frees, memory_order_acquire);
}

uint64_t
registry_series_count(const struct registry *registry, enum metric_type type)
{
	return atomic_load_explicit(&registry->series_count[type], memory_order_relaxed);
}

uint64_t
registry_metrics_count(const struct registry *registry, enum metric_type type)
{
	return atomic_load_explicit(&registry->metrics_count[type], memory_order_relaxed);
}

uint64_t
registry_families_count(const struct registry *registry)
{
	return atomic_load_explicit(&registry->families_count, memory_order_relaxed);
}

static uint64_t
join_hashes(uint64_t first, uint64_t second)
{
	return first * UINT64_C(0x9e3779b97f4a7c15) ^ second;
}

/* ---- Families. ---- */

static bool
family_has_name(const void *item, const void *key)
{
	return span_equal(family_name(item), *(const struct span *)key);
}

static bool
is_span(const void *item, const void *key)
{
	return span_equal(*(const struct span *)item, *(const struct span *)key);
}

static struct family *
family_find(const struct registry *registry, struct span name)
{
	return index_find(&registry->families, hash_bytes64(name.ptr, name.len), family_has_name,
			  &name);
}

/* The last one only with reserves_created. */
static const struct span suffixes[] = {
    {"_sum", 4}, {"_count", 6}, {"_bucket", 7}, {"_created", 8}};
#define SUFFIXES (sizeof(suffixes) / sizeof(suffixes[0]))

/*
 * Whether an observer's family keeps NAME + suffix for itself. A summary prints no buckets, but
 * statsd_exporter lets it block NAME_bucket too for counters and gauges that come later.
 */
static bool
type_has_suffix(enum metric_type type)
{
	return type == METRIC_HISTOGRAM || type == METRIC_SUMMARY;
}

static bool
is_taken(const struct registry *registry, struct span name)
{
	return index_find(&registry->reserved, hash_bytes64(name.ptr, name.len), is_span, &name) ||
	       family_find(registry, name);
}

/* Whether a new family would share an exposed name with another, or with the bridge. */
static bool
name_clashes(const struct registry *registry, struct span name, enum metric_type type,
	     struct buf *scratch)
{
	if (is_taken(registry, name))
		return true;
	size_t count = registry->reserves_created ? SUFFIXES : SUFFIXES - 1;
	for (size_t i = 0; i < count; i++) {
		if (span_ends(name, suffixes[i])) {
			const struct family *base =
			    family_find(registry, span_first(name, name.len - suffixes[i].len));
			if (base && type_has_suffix(base->type))
				return true;
		}
		if (!type_has_suffix(type))
			continue;
		buf_reset(scratch);
		buf_add_span(scratch, name);
		buf_add_span(scratch, suffixes[i]);
		if (is_taken(registry, buf_span(scratch)))
			return true;
	}
	return false;
}

static void
family_set_help(struct family *family, const struct series_request *request)
{
	free(family->help);
	family->help = xmemdup0(request->help.ptr, request->help.len);
	family->help_len = request->help.len;
	family->help_rules = request->rules;
}

static struct family *
family_new(struct registry *registry, const struct series_request *request)
{
	struct family *family = xcalloc(1, sizeof(*family));
	family->name = xmemdup0(request->name.ptr, request->name.len);
	family->name_len = request->name.len;
	family->hash = request->name_hash;
	family->type = request->type;
	family_set_help(family, request);
	registry->text_bytes += family_bytes(family->name_len);
	index_add(&registry->families, family->hash, family);
	atomic_fetch_add_explicit(&registry->families_count, 1, memory_order_relaxed);
	return family;
}

static bool
is_name_set(const void *item, const void *key)
{
	const struct name_set *set = item, *wanted = key;
	return set->family == wanted->family && set->hash == wanted->hash;
}

static uint64_t
hash_names(const struct labels *labels)
{
	uint64_t hash = 0;
	for (size_t i = 0; i < labels->count; i++)
		hash = join_hashes(hash, hash_bytes64(labels->item[i].name.ptr,
						      labels->item[i].name.len));
	return hash;
}

/* Counts a series under its set of label names. @names hash of them */
static struct name_set *
name_set_use(struct registry *registry, struct family *family, uint64_t names)
{
	struct name_set wanted = {.family = family, .hash = join_hashes(family->hash, names)};
	struct name_set *set =
	    index_find(&registry->name_sets, wanted.hash, is_name_set, &wanted);
	if (!set) {
		set = xmalloc(sizeof(*set));
		*set = wanted;
		index_add(&registry->name_sets, set->hash, set);
		atomic_fetch_add_explicit(&registry->metrics_count[family->type], 1,
					  memory_order_relaxed);
	}
	set->series++;
	return set;
}

/* ---- Series. ---- */

struct series_key {
	const struct family *family;
	struct span text;
};

static bool
series_has_key(const void *item, const void *key)
{
	const struct series *series = item;
	const struct series_key *wanted = key;
	return series_family(series) == wanted->family &&
	       span_equal(series_text(series), wanted->text);
}

uint64_t
series_hash(const struct family *family, struct span text)
{
	return join_hashes(family->hash, hash_bytes64(text.ptr, text.len));
}

void
series_set_incarnations(struct registry *registry, const struct series *series,
			uint32_t incarnation)
{
	const struct layout *layout = series_layout(registry, series);
	for (unsigned i = 0; i <= registry->threads; i++) {
		struct cell *cell = series_cell(registry->shards[i], layout, series);
		if (cell)
			atomic_store(&cell->incarnation, incarnation);
	}
}

/* @return NULL when there are too many */
static struct layout *
layout_of(struct registry *registry, const struct series_request *request)
{
	switch (request->type) {
	case METRIC_HISTOGRAM:
		return layouts_histogram(registry->layouts, request->histogram, &request->totals);
	case METRIC_SUMMARY:
		return layouts_summary(registry->layouts, request->summary);
	case METRIC_COUNTER:
		return layouts_counter(registry->layouts, &request->totals);
	default:
		return request->is_set ? layouts_set(registry->layouts)
				       : layouts_gauge(registry->layouts);
	}
}

static uint32_t
take_id(struct pool_ids *ids)
{
	return ids->free_count ? ids->free[--ids->free_count] : ids->next++;
}

static uint32_t
next_incarnation(struct registry *registry)
{
	if (++registry->last_incarnation == INCARNATION_NONE)
		registry->last_incarnation++;
	return registry->last_incarnation;
}

static struct series *
series_new(struct registry *registry, struct family *family, struct layout *layout,
	   const struct series_request *request)
{
	struct span text = request->labels;
	struct series *series = slab_alloc(&registry->slab, SLAB_BORN, series_bytes(text.len));
	series->layout_number = layout->number;
	layout->series++;
	series->id = take_id(&registry->ids[layout->pool]);
	series->incarnation = next_incarnation(registry);
	series->label_count = (uint16_t)request->label_count;
	series->text_len = (uint32_t)text.len;
	series->birth = request->tick;
	series->scope = 0;
	atomic_init(&series->life, NULL);
	atomic_init(&series->state, SERIES_LIVE);
	registry->text_bytes += text.len;
	memcpy(series->text, text.ptr, text.len);
	series->names = name_set_use(registry, family, request->label_names_hash);
	registry->records++;
	registry->births++;
	index_add(series_segment(registry, request->series_hash), request->series_hash, series);
	atomic_fetch_add_explicit(&registry->series_count[family->type], 1, memory_order_relaxed);
	if (!family->birth_count) {
		family->next_born = registry->born;
		registry->born = family;
	}
	family->births = xgrow(family->births, family->birth_count, &family->birth_capacity,
			       sizeof(*family->births));
	family->births[family->birth_count++] = series;
	family->series_count++;
	return series;
}

static void
series_set_ttl(struct registry *registry, struct series *series, int64_t ttl_us)
{
	if (series_ttl_us(series) == ttl_us)
		return;
	struct series_life *life = atomic_load_explicit(&series->life, memory_order_relaxed);
	if (!life) {
		life = slots_take(&registry->lives);
		*life = (struct series_life){.node.owner = series};
		atomic_store_explicit(&series->life, life, memory_order_release);
	}
	atomic_store_explicit(&life->ttl_us, ttl_us, memory_order_relaxed);
	if (life->is_changed)
		return;
	life->is_changed = true;
	life->next_changed = registry->changed;
	registry->changed = life;
}

void
series_set_scope(struct registry *registry, struct series *series, uint16_t scope)
{
	if (series->scope)
		registry->left_scope(registry->left_scope_ctx, series->scope, series_text(series));
	series->scope = scope;
}

static bool
has_room(const struct registry *registry, uint64_t bytes)
{
	return registry->records < registry->max_series &&
	       registry->text_bytes + bytes <=
		   registry->max_series * SERIES_TEXT_BYTES + SERIES_TEXT_BYTES_LEAST;
}

/* @family NULL = it does not exist either. @return NULL when there is no room */
static struct series *
create(struct registry *registry, struct family *family, const struct series_request *request)
{
	uint64_t bytes = request->labels.len + (family ? 0 : family_bytes(request->name.len));
	struct layout *layout = has_room(registry, bytes) ? layout_of(registry, request) : NULL;
	if (!layout)
		return NULL;
	if (!family)
		family = family_new(registry, request);
	return series_new(registry, family, layout, request);
}

static enum registry_verdict
find_or_create(struct registry *registry, const struct series_request *request,
	       struct series **out)
{
	struct family *family =
	    index_find(&registry->families, request->name_hash, family_has_name, &request->name);
	if (family && family->type != request->type)
		return REGISTRY_CONFLICT;
	struct series *series = NULL;
	if (family) {
		struct series_key key = {family, request->labels};
		series = index_find(series_segment(registry, request->series_hash),
				    request->series_hash, series_has_key, &key);
		if (series && series_layout(registry, series)->is_set != request->is_set)
			return REGISTRY_CONFLICT;
	} else {
		struct buf scratch = BUF_INIT;
		bool clashes = name_clashes(registry, request->name, request->type, &scratch);
		buf_fini(&scratch);
		if (clashes)
			return REGISTRY_CONFLICT;
	}
	if (!series)
		series = create(registry, family, request);
	if (!series)
		return REGISTRY_LIMIT;
	family = series_family(series);
	if (family->help_rules < request->rules)
		family_set_help(family, request);
	*out = series;
	return REGISTRY_OK;
}

/* Says that it waits, so that the control thread makes way. */
static void
lock(struct registry *registry)
{
	if (pthread_mutex_trylock(&registry->lock) == 0)
		return;
	atomic_fetch_add_explicit(&registry->waiting, 1, memory_order_relaxed);
	pthread_mutex_lock(&registry->lock);
	atomic_fetch_sub_explicit(&registry->waiting, 1, memory_order_relaxed);
}

void
registry_prepare(struct registry *registry, const struct labels *labels, struct buf *text,
		 struct series_request *request)
{
	size_t at = text->len;
	request->name_hash = hash_bytes64(request->name.ptr, request->name.len);
	label_text_format(labels, text);
	request->labels = span_from(buf_span(text), at);
	uint64_t hash = hash_bytes64(request->labels.ptr, request->labels.len);
	request->series_hash = join_hashes(request->name_hash, hash);
	index_prefetch(series_segment(registry, request->series_hash), request->series_hash);
	request->label_count = labels->count;
	request->label_names_hash = hash_names(labels);
}

enum registry_verdict
registry_find_or_create(struct registry *registry, unsigned thread,
			const struct series_request *request, struct series_ref *ref)
{
	lock(registry);
	struct series *series = NULL;
	enum registry_verdict verdict = find_or_create(registry, request, &series);
	if (verdict == REGISTRY_OK) {
		if (series->state == SERIES_DYING) {
			series->state = SERIES_LIVE;
			series_set_incarnations(registry, series, series->incarnation);
		}
		series_set_ttl(registry, series, request->ttl_us);
		struct layout *layout = series_layout(registry, series);
		if (layout->rules < request->rules)
			layout->rules = request->rules;
		unsigned owner = layout->pool == POOL_GAUGES ? registry->threads : thread;
		struct cell *cell =
		    shard_touch(registry->shards[owner], layout, series->id, series->incarnation);
		cell_set_tick(cell, request->tick);
		*ref = (struct series_ref){layout, series->id, series->incarnation, series->scope};
		if (series->scope != request->scope)
			series_set_scope(registry, series, request->scope);
	}
	pthread_mutex_unlock(&registry->lock);
	return verdict;
}

void
registry_free_retired(struct registry *registry)
{
	for (unsigned i = 0; i < registry->threads; i++)
		shard_free_retired(registry->shards[i]);
}
