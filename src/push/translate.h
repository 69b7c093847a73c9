/*
 * push/translate - a message of 2.0 as one of 1.0.
 *
 * Which protocol a receiver speaks comes out only when it answers, and may change while much is
 * queued for it. So a message stays as it was written, and one of 2.0 is translated when it must
 * be sent in 1.0. That needs nothing that the message does not have; what 1.0 has no field for, the
 * time since when a series counts, is left out. So are types and help texts: 1.0 has them in
 * entries of their own, which come with each minute's pass.
 */
#ifndef PUSH_TRANSLATE_H
#define PUSH_TRANSLATE_H

#include "base/buf.h"
#include "base/check.h"

/**
 * @message an io.prometheus.write.v2.Request
 * @out     gets the prometheus.WriteRequest appended. Each label is spelled out there, see
 *          PUSH_MESSAGE_SPELLED_BYTES in push/writer.h
 * @return  false when the message is not well-formed
 */
bool push_translate(struct span message, struct buf *out) MUST_CHECK;

#endif
