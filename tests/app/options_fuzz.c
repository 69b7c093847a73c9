/*
 * Arguments are what the input holds between its newlines. Whatever they are, the outcome and its
 * text fit together, and what is taken lies within the limits of the flags. Arguments that would
 * read a file are left out.
 */
#include "app/options.h"

#include <stdlib.h>

#define ARGS_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_taken(const struct options *options)
{
	CHECK(options->threads <= 256);
	CHECK(options->max_series >= 1 && options->max_series <= 1000000000);
	CHECK(options->max_connections >= 1 && options->max_connections <= 1000000);
	CHECK(options->relay_packet_length >= 2 && options->relay_packet_length <= 65507);
	CHECK(options->read_buffer >= 0 && options->read_buffer <= INT32_MAX);
	CHECK(options->unixsocket_mode >= -1 && options->unixsocket_mode <= 0777);
	CHECK(options->web_telemetry_path[0] == '/');
	CHECK(options->log_level <= LOG_LEVEL_ERROR && options->log_format <= LOG_FORMAT_JSON);
	CHECK(options->check_config || options->listen_udp.count || options->listen_tcp.count ||
	      options->listen_unixgram.count || options->listen_unixstream.count);
	for (size_t i = 0; i < options->listen_udp.count; i++)
		CHECK(*options->listen_udp.items[i] && !strchr(options->listen_udp.items[i], ','));
}

static void
check_error(struct span text)
{
	CHECK(span_starts(text, SPAN("statsbridge: error: ")));
	CHECK(span_ends(text, SPAN(", try --help\n")));
	CHECK(span_find(text, '\n') == text.ptr + text.len - 1);
	CHECK(text.len < 1024);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char program[] = "statsbridge";
	char *argv[ARGS_MAX + 1] = {program};
	int argc = 1;
	char *text = malloc(size + 1), *rest = text;
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	while (rest && argc < ARGS_MAX) {
		char *argument = strsep(&rest, "\n");
		if (argument[0] != '@')
			argv[argc++] = argument;
	}
	struct options options;
	struct buf out = BUF_INIT;
	enum options_outcome outcome = options_parse(argc, argv, &options, &out);
	if (outcome == OPTIONS_RUN) {
		CHECK(out.len == 0);
		check_taken(&options);
	} else if (outcome == OPTIONS_FAIL) {
		check_error(buf_span(&out));
	} else {
		CHECK(out.len > 0);
	}
	options_fini(&options);
	buf_fini(&out);
	free(text);
	return 0;
}
