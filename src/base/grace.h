/*
 * base/grace - when may memory be freed that other threads might still use?
 *
 * Each thread says when it works and when it holds nothing (it waits for input). Who has made
 * something unreachable takes a snapshot, and may free it once every thread has held nothing at some
 * moment since.
 */
#ifndef BASE_GRACE_H
#define BASE_GRACE_H

#include <stdbool.h>
#include <stdint.h>

struct grace;

/** @threads number of threads, each known by its index; all start out holding nothing */
struct grace *grace_new(unsigned threads);
void grace_free(struct grace **grace);

/** Thread `thread` begins to work: called when waiting for input ends. */
void grace_begin(struct grace *grace, unsigned thread);
/** Thread `thread` holds nothing from here on: called before it waits for input. */
void grace_end(struct grace *grace, unsigned thread);

/** @return whether thread `thread` works; asked by itself */
bool grace_is_working(const struct grace *grace, unsigned thread);

/** A moment to compare with later; owned by the caller, freed with free(). */
struct grace_moment;
struct grace_moment *grace_now(struct grace *grace);
/** @return whether every thread has held nothing at some time since `moment` */
bool grace_has_passed(struct grace *grace, const struct grace_moment *moment);

#endif
