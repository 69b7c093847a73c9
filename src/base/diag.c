#include "base/diag.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdlib.h>

PRINTF_LIKE(5, 0)
static void
add(struct diag *diag, bool is_error, struct diag_place at, const char *key, const char *format,
    va_list args)
{
	size_t count = is_error ? ++diag->errors : ++diag->warnings;
	if (count > DIAG_MAX + 1)
		return;
	struct buf text = BUF_INIT;
	buf_add_text(&text, at.file);
	if (count > DIAG_MAX) {
		buf_printf(&text, ": more %s are left out", is_error ? "errors" : "warnings");
	} else {
		if (at.line)
			buf_printf(&text, ":%u:%u", at.line, at.column);
		buf_add_text(&text, ": ");
		if (key)
			buf_printf(&text, "%s: ", key);
		buf_vprintf(&text, format, args);
	}
	diag->messages =
	    xgrow(diag->messages, diag->count, &diag->capacity, sizeof(*diag->messages));
	diag->messages[diag->count++] = (struct diag_message){is_error, xstrdup(buf_text(&text))};
	buf_fini(&text);
}

void
diag_error(struct diag *diag, struct diag_place at, const char *key, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add(diag, true, at, key, format, args);
	va_end(args);
}

void
diag_warn(struct diag *diag, struct diag_place at, const char *key, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add(diag, false, at, key, format, args);
	va_end(args);
}

void
diag_fini(struct diag *diag)
{
	for (size_t i = 0; i < diag->count; i++)
		free(diag->messages[i].text);
	free(diag->messages);
	*diag = DIAG_INIT;
}

void
diag_log_from(const char *what, const struct diag *diag, size_t first)
{
	for (size_t i = first; i < diag->count; i++) {
		if (diag->messages[i].is_error)
			log_error(what, LOG_TEXT("error", diag->messages[i].text));
		else
			log_warn(what, LOG_TEXT("warning", diag->messages[i].text));
	}
}

void
diag_log(const char *what, const struct diag *diag)
{
	diag_log_from(what, diag, 0);
}
