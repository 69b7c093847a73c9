/*
 * push/without_native - a message without its native histograms, for a receiver that takes none.
 *
 * That comes out only when it answers; by then more of them may be queued. Each stands in a series
 * of its own, so what is left is as it would have been written. Only symbols that nothing refers to
 * any more stay in a message of 2.0.
 */
#ifndef PUSH_WITHOUT_NATIVE_H
#define PUSH_WITHOUT_NATIVE_H

#include "base/buf.h"
#include "base/check.h"
#include "push/writer.h"

/**
 * @message of this protocol
 * @out     gets what is left of it appended; nothing where that would be symbols alone
 * @return  false when the message is not well-formed
 */
bool push_without_native(enum push_protocol protocol, struct span message,
			 struct buf *out) MUST_CHECK;

#endif
