#include "push/sender.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <strings.h>

/* Of an answer: what is shown of its body, and read of it; and most bytes of its headers. */
#define EXCERPT_BYTES 200
#define BODY_BYTES_MAX (64u << 10)
#define HEADER_BYTES_MAX (64u << 10)
#define SECRET_BYTES_MAX 8192
/* Longest that the thread sleeps; it is woken for whatever there is to do. */
#define SLEEP_MS_MAX 60000

/* Native histograms are counted apart from other samples; exemplars are no samples. */
static const struct written_header {
	struct span start;
	bool counts;
} written_headers[] = {
    {SPAN("X-Prometheus-Remote-Write-Samples-Written:"), true},
    {SPAN("X-Prometheus-Remote-Write-Histograms-Written:"), true},
    {SPAN("X-Prometheus-Remote-Write-Exemplars-Written:"), false},
};

/* One request under way, or none. */
struct transfer {
	CURL *easy;                   /* owned */
	struct push_request *request; /* NULL = none */
	struct curl_slist *headers;   /* owned */
	struct push_answer answer;
	bool has_head; /* it came up to its empty line */
	size_t header_bytes, body_bytes;
	char excerpt[EXCERPT_BYTES];
	char fault[CURL_ERROR_SIZE]; /* libcurl's own words; "" = none */
};

struct push_sender {
	struct push_sender_settings settings;
	struct push_queue *queue;
	struct push_negotiation negotiation; /* the thread's, but to be read by others */
	_Atomic int64_t end_us;              /* monotonic; INT64_MAX = not asked to end */
	pthread_t thread;
	bool is_started;
	CURLM *multi;

	/* The thread's. */
	struct transfer transfers[PUSH_CONNECTIONS];
	struct push_backoff backoff;
	bool is_ending;  /* the end was asked for */
	bool has_failed; /* since the last success */
	bool is_old;     /* the log says that the receiver speaks 1.0 only */
	struct log_gate gate;
};

static const struct protocol_headers {
	const char *content_type, *version;
} protocol_headers[PUSH_PROTOCOLS] = {
    [PUSH_PROTOCOL_1] = {"Content-Type: application/x-protobuf",
			 "X-Prometheus-Remote-Write-Version: 0.1.0"},
    [PUSH_PROTOCOL_2] =
	{"Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request",
	 "X-Prometheus-Remote-Write-Version: 2.0.0"},
};

/* ---- What settings may say. ---- */

static bool
has_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK && *text;
	curl_free(text);
	return has;
}

static bool
has_web_scheme(CURLU *url)
{
	char *scheme = NULL;
	bool is_web = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		      (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
	curl_free(scheme);
	return is_web;
}

bool
push_url_check(const char *text)
{
	CURLU *url = curl_url();
	CHECK(url);
	bool is_good = curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
		       has_web_scheme(url) && has_part(url, CURLUPART_HOST) &&
		       !has_part(url, CURLUPART_USER) && !has_part(url, CURLUPART_PASSWORD) &&
		       !has_part(url, CURLUPART_FRAGMENT);
	curl_url_cleanup(url);
	return is_good;
}

/* Those that make the request what it is, or that libcurl writes. */
static bool
is_reserved_header(struct span name)
{
	static const struct span reserved[] = {
	    SPAN("authorization"),
	    SPAN("host"),
	    SPAN("content-encoding"),
	    SPAN("content-length"),
	    SPAN("content-type"),
	    SPAN("user-agent"),
	    SPAN("connection"),
	    SPAN("keep-alive"),
	    SPAN("transfer-encoding"),
	    SPAN("proxy-connection"),
	    SPAN("accept-encoding"),
	    SPAN("proxy-authorization"),
	    SPAN("expect"),
	    SPAN("x-prometheus-remote-write-version"),
	};
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		if (span_equal_ignoring_case(name, reserved[i]))
			return true;
	}
	return false;
}

static bool
is_token_byte(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= '0' && byte <= '9') || strchr("!#$%&'*+-.^_`|~", byte);
}

const char *
push_header_check(const char *header)
{
	const char *colon = strchr(header, ':');
	if (!colon || colon == header)
		return "must be \"Name: value\"";
	struct span name = span_of(header, (size_t)(colon - header));
	for (size_t i = 0; i < name.len; i++) {
		if (!is_token_byte(name.ptr[i]))
			return "has a name with a character that no header's name may have";
	}
	if (is_reserved_header(name))
		return "is one that remote write sets itself; what proves who sends goes into "
		       "files, see --remote-write.bearer-token-file and "
		       "--remote-write.password-file";
	const char *value = colon + 1 + strspn(colon + 1, " \t");
	for (const char *at = value; *at; at++) {
		if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f)
			return "has a value with a control character";
	}
	return *value ? NULL : "has no value";
}

bool
push_secret_read(const char *path, struct buf *secret, struct buf *error)
{
	struct buf content = BUF_INIT;
	int fault = file_read(path, O_NONBLOCK, SECRET_BYTES_MAX, &content);
	struct span text = span_trim(buf_span(&content));
	const char *reason = NULL;
	if (fault)
		reason = strerror(fault);
	else if (!text.len)
		reason = "there is nothing in it";
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
			reason = "it must hold one line, without control characters";
	}
	if (reason)
		buf_printf(error, "%s: %s", path, reason);
	else
		buf_add_span(secret, text);
	buf_fini(&content);
	return !reason;
}

/* ---- What libcurl reads. ---- */

static void
read_written(struct push_answer *answer, struct span value, bool counts)
{
	uint64_t written = 0;
	value = span_trim(value);
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < '0' || value.ptr[i] > '9' || written > UINT64_MAX / 100)
			return;
		written = written * 10 + (unsigned)(value.ptr[i] - '0');
	}
	answer->has_written |= value.len > 0;
	answer->written += counts ? written : 0;
}

static size_t
header_cb(char *bytes, size_t size, size_t count, void *ctx)
{
	struct transfer *transfer = ctx;
	struct span line = span_of(bytes, size * count);
	transfer->header_bytes += line.len;
	/* Of several answers, such as with "100 Continue" before, the last one counts. */
	if (span_starts(line, SPAN("HTTP/"))) {
		transfer->answer = (struct push_answer){0};
		transfer->has_head = false;
	}
	transfer->has_head |= !span_trim(line).len;
	for (size_t i = 0; i < sizeof(written_headers) / sizeof(written_headers[0]); i++) {
		const struct written_header *header = &written_headers[i];
		size_t len = header->start.len;
		if (line.len > len &&
		    span_equal_ignoring_case(span_first(line, len), header->start))
			read_written(&transfer->answer, span_from(line, len), header->counts);
	}
	return transfer->header_bytes > HEADER_BYTES_MAX ? 0 : line.len;
}

static size_t
body_cb(char *bytes, size_t size, size_t count, void *ctx)
{
	struct transfer *transfer = ctx;
	size_t len = size * count;
	if (transfer->body_bytes < EXCERPT_BYTES) {
		size_t room = EXCERPT_BYTES - transfer->body_bytes;
		memcpy(transfer->excerpt + transfer->body_bytes, bytes, len < room ? len : room);
	}
	transfer->body_bytes += len;
	return transfer->body_bytes > BODY_BYTES_MAX ? 0 : len;
}

static struct span
excerpt_of(const struct transfer *transfer)
{
	size_t len = transfer->body_bytes;
	return span_trim(span_of(transfer->excerpt, len < EXCERPT_BYTES ? len : EXCERPT_BYTES));
}

/* ---- One request. ---- */

static void
add_header(struct transfer *transfer, const char *header)
{
	struct curl_slist *headers = curl_slist_append(transfer->headers, header);
	CHECK(headers);
	transfer->headers = headers;
}

/* Reads the secrets. @return false when a file is not good; the reason is logged */
static bool
set_credentials(struct push_sender *sender, struct transfer *transfer)
{
	const struct push_sender_settings *settings = &sender->settings;
	struct buf secret = BUF_INIT, error = BUF_INIT;
	bool is_good = true;
	uint64_t held_back;
	if (*settings->bearer_token_file) {
		buf_add_text(&secret, "Authorization: Bearer ");
		is_good = push_secret_read(settings->bearer_token_file, &secret, &error);
		if (is_good)
			add_header(transfer, buf_text(&secret));
	} else if (*settings->username) {
		is_good = !*settings->password_file ||
			  push_secret_read(settings->password_file, &secret, &error);
		curl_easy_setopt(transfer->easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
		curl_easy_setopt(transfer->easy, CURLOPT_USERNAME, settings->username);
		curl_easy_setopt(transfer->easy, CURLOPT_PASSWORD, buf_text(&secret));
	}
	if (!is_good && log_gate_open(&sender->gate, &held_back))
		log_error("remote write waits for a secret", LOG_TEXT("error", buf_text(&error)));
	buf_fini(&secret);
	buf_fini(&error);
	return is_good;
}

static void
set_headers(const struct push_sender *sender, struct transfer *transfer)
{
	const struct protocol_headers *headers = &protocol_headers[transfer->request->protocol];
	curl_slist_free_all(transfer->headers);
	transfer->headers = NULL;
	add_header(transfer, "Content-Encoding: snappy");
	add_header(transfer, headers->content_type);
	add_header(transfer, headers->version);
	/* No wait for leave to send the body. */
	add_header(transfer, "Expect:");
	for (size_t i = 0; i < sender->settings.header_count; i++)
		add_header(transfer, sender->settings.headers[i]);
}

static void
fail_for_now(struct push_sender *sender, int64_t retry_after_us)
{
	int64_t now_us = clock_mono().us;
	push_backoff_fail(&sender->backoff, now_us, retry_after_us,
			  hash_bytes64(&now_us, sizeof(now_us)));
}

/* @request consumed */
static void
begin(struct push_sender *sender, struct transfer *transfer, struct push_request **request)
{
	transfer->request = *request;
	transfer->answer = (struct push_answer){0};
	transfer->has_head = false;
	transfer->header_bytes = transfer->body_bytes = 0;
	*transfer->fault = '\0';
	*request = NULL;
	set_headers(sender, transfer);
	if (!set_credentials(sender, transfer)) {
		push_queue_return(sender->queue, &transfer->request);
		fail_for_now(sender, 0);
		return;
	}
	CURL *easy = transfer->easy;
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, (const char *)transfer->request->body);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)transfer->request->len);
	CHECK(curl_multi_add_handle(sender->multi, easy) == CURLM_OK);
	push_queue_count_sent(sender->queue, transfer->request);
}

static void
log_failure(struct push_sender *sender, const struct transfer *transfer, const char *what,
	    CURLcode code)
{
	uint64_t held_back;
	const char *fault = *transfer->fault ? transfer->fault : curl_easy_strerror(code);
	if (!log_gate_open(&sender->gate, &held_back))
		return;
	log_warn(what, LOG_NUM("status", transfer->answer.status),
		 LOG_TEXT("error", transfer->answer.status ? "" : fault),
		 LOG_BYTES("answer", excerpt_of(transfer)),
		 LOG_NUM("samples", transfer->request->samples), LOG_NUM("held_back", held_back));
}

/* Sends it again in 1.0, and so all others if the receiver speaks nothing else. */
static void
send_translated(struct push_sender *sender, struct transfer *transfer)
{
	bool gives_up = push_negotiation_miss(&sender->negotiation, clock_mono().us);
	if (gives_up && !sender->is_old)
		log_info("remote write: the receiver does not speak 2.0; going on with 1.0",
			 LOG_NUM("status", transfer->answer.status));
	sender->is_old |= gives_up;
	transfer->request->must_be_1 = true;
	push_queue_return(sender->queue, &transfer->request);
}

/* Sends what else is in it again, and no native histograms for a while. */
static void
send_without_native(struct push_sender *sender, struct transfer *transfer)
{
	if (push_negotiation_deny_native(&sender->negotiation, clock_mono().us))
		log_error("remote write: the receiver takes no native histograms; going on without "
			  "them for an hour",
			  LOG_NUM("status", transfer->answer.status),
			  LOG_BYTES("answer", excerpt_of(transfer)),
			  LOG_TEXT("hint", "start Prometheus with "
					   "--enable-feature=native-histograms, or this without "
					   "--remote-write.native-histograms"));
	push_queue_refuse_native(sender->queue, &transfer->request);
	if (transfer->request)
		push_queue_return(sender->queue, &transfer->request);
}

static void
note_success(struct push_sender *sender)
{
	if (sender->has_failed)
		log_info("remote write works again");
	sender->has_failed = false;
}

/* The receiver said of a request of 2.0 how much of it was written. */
static void
note_spoken(struct push_sender *sender)
{
	if (push_negotiation_hit(&sender->negotiation) && sender->is_old)
		log_info("remote write: the receiver speaks 2.0 now");
	sender->is_old = false;
}

static void
settle(struct push_sender *sender, struct transfer *transfer, enum push_verdict verdict)
{
	struct push_request *request = transfer->request;
	size_t taken =
	    push_samples_taken(&transfer->answer, verdict, request->protocol, request->samples);
	if (verdict == PUSH_REFUSED)
		log_failure(sender, transfer, "remote write: the receiver refused samples",
			    CURLE_OK);
	else if (taken < request->samples)
		log_failure(sender, transfer,
			    "remote write: the receiver did not write all samples", CURLE_OK);
	if (verdict == PUSH_SENT)
		note_success(sender);
	if (request->protocol == PUSH_PROTOCOL_2 && transfer->answer.has_written)
		note_spoken(sender);
	/* Whoever refuses is there. */
	push_backoff_succeed(&sender->backoff, clock_mono().us);
	push_queue_settle(sender->queue, &transfer->request, taken);
}

static void
retry_later(struct push_sender *sender, struct transfer *transfer)
{
	curl_off_t retry_after = 0;
	curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &retry_after);
	sender->has_failed = true;
	if (retry_after > PUSH_RETRY_AFTER_MOST_US / 1000000)
		retry_after = PUSH_RETRY_AFTER_MOST_US / 1000000;
	fail_for_now(sender, (int64_t)retry_after * 1000000);
	push_queue_return(sender->queue, &transfer->request);
}

static void
finish(struct push_sender *sender, struct transfer *transfer, CURLcode code)
{
	long status = 0;
	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_multi_remove_handle(sender->multi, transfer->easy);
	/* An answer that is only "100 Continue" is none, nor is one that was cut off in its head.
	 */
	transfer->answer.status = status >= 200 && transfer->has_head ? (unsigned)status : 0;
	transfer->answer.denies_native =
	    transfer->request->natives && push_denies_native(excerpt_of(transfer));
	enum push_verdict verdict =
	    push_judge(&transfer->answer, transfer->request->protocol, sender->settings.protocol,
		       sender->negotiation.is_confirmed);
	switch (verdict) {
	case PUSH_RETRY:
		log_failure(sender, transfer, "remote write failed and will be tried again", code);
		retry_later(sender, transfer);
		return;
	case PUSH_TRANSLATE:
		send_translated(sender, transfer);
		return;
	case PUSH_WITHOUT_NATIVE:
		send_without_native(sender, transfer);
		return;
	case PUSH_REFUSED:
	case PUSH_SENT:
		settle(sender, transfer, verdict);
	}
}

/* ---- The thread. ---- */

/* Makes a request what its receiver understands, as far as that is known by now; NULL if that is
 * nothing. */
static void
suit_receiver(struct push_sender *sender, struct push_request **request)
{
	if ((*request)->protocol == PUSH_PROTOCOL_2 &&
	    ((*request)->must_be_1 || push_sender_protocol(sender) == PUSH_PROTOCOL_1))
		push_queue_translate(sender->queue, request);
	if ((*request)->natives && !push_sender_takes_native(sender))
		push_queue_refuse_native(sender->queue, request);
}

static struct push_request *
take_request(struct push_sender *sender)
{
	struct push_request *request;
	while ((request = push_queue_take(sender->queue))) {
		suit_receiver(sender, &request);
		if (request)
			break;
	}
	return request;
}

static void
begin_what_may(struct push_sender *sender)
{
	for (size_t i = 0; i < PUSH_CONNECTIONS; i++) {
		if (sender->transfers[i].request)
			continue;
		if (clock_mono().us < sender->backoff.until_us)
			return;
		struct push_request *request = take_request(sender);
		if (!request)
			return;
		begin(sender, &sender->transfers[i], &request);
	}
}

static void
finish_what_has_ended(struct push_sender *sender)
{
	int left;
	for (CURLMsg *message; (message = curl_multi_info_read(sender->multi, &left));) {
		struct transfer *transfer = NULL;
		CURLcode code = message->data.result;
		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
		finish(sender, transfer, code);
	}
}

/* @return how long the thread may sleep if nothing wakes it */
static int
sleep_ms(const struct push_sender *sender)
{
	int64_t now_us = clock_mono().us, until_us = now_us + SLEEP_MS_MAX * 1000LL;
	if (sender->backoff.until_us > now_us && sender->backoff.until_us < until_us)
		until_us = sender->backoff.until_us;
	if (sender->end_us < until_us)
		until_us = sender->end_us;
	return until_us > now_us ? (int)((until_us - now_us) / 1000 + 1) : 0;
}

/* Who is to end soon waits no longer: what failed is tried at once. */
static void
hurry_at_end(struct push_sender *sender)
{
	if (sender->is_ending || sender->end_us == INT64_MAX)
		return;
	sender->is_ending = true;
	sender->backoff = (struct push_backoff){0};
}

static bool
must_end(const struct push_sender *sender)
{
	return sender->end_us != INT64_MAX &&
	       (push_queue_is_empty(sender->queue) || clock_mono().us >= sender->end_us);
}

static void *
run(void *arg)
{
	struct push_sender *sender = arg;
	while (!must_end(sender)) {
		int running;
		hurry_at_end(sender);
		begin_what_may(sender);
		curl_multi_perform(sender->multi, &running);
		finish_what_has_ended(sender);
		/* What has ended may have made room for what waits. */
		begin_what_may(sender);
		if (!must_end(sender))
			curl_multi_poll(sender->multi, NULL, 0, sleep_ms(sender), NULL);
	}
	for (size_t i = 0; i < PUSH_CONNECTIONS; i++) {
		struct transfer *transfer = &sender->transfers[i];
		if (!transfer->request)
			continue;
		curl_multi_remove_handle(sender->multi, transfer->easy);
		push_queue_drop(sender->queue, &transfer->request, PUSH_DROP_SHUTDOWN);
	}
	push_queue_drop_all(sender->queue);
	return NULL;
}

/* ---- The sender. ---- */

static CURL *
make_easy(const struct push_sender_settings *settings, struct transfer *transfer)
{
	CURL *easy = curl_easy_init();
	CHECK(easy);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* A name that is still being looked up does not hold up the end. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_URL, settings->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	/* Only flags say where samples go. */
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "statsbridge/" STATSBRIDGE_VERSION);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(settings->timeout_us / 1000));
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, header_cb);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_cb);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->fault);
	if (*settings->ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, settings->ca_file);
	if (*settings->cert_file) {
		curl_easy_setopt(easy, CURLOPT_SSLCERT, settings->cert_file);
		curl_easy_setopt(easy, CURLOPT_SSLKEY, settings->key_file);
	}
	return easy;
}

struct push_sender *
push_sender_new(const struct push_sender_settings *settings)
{
	struct push_sender *sender = xcalloc(1, sizeof(*sender));
	CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
	sender->settings = *settings;
	sender->queue = push_queue_new(settings->queue_bytes);
	push_negotiation_init(&sender->negotiation, settings->protocol);
	sender->end_us = INT64_MAX;
	sender->multi = curl_multi_init();
	CHECK(sender->multi);
	for (size_t i = 0; i < PUSH_CONNECTIONS; i++)
		sender->transfers[i].easy = make_easy(settings, &sender->transfers[i]);
	return sender;
}

int
push_sender_start(struct push_sender *sender)
{
	int error = pthread_create(&sender->thread, NULL, run, sender);
	sender->is_started = !error;
	return error;
}

void
push_sender_stop(struct push_sender *sender, int64_t deadline_us)
{
	if (!sender->is_started)
		return;
	sender->end_us = deadline_us;
	curl_multi_wakeup(sender->multi);
	pthread_join(sender->thread, NULL);
	sender->is_started = false;
}

void
push_sender_free(struct push_sender **slot)
{
	struct push_sender *sender = *slot;
	*slot = NULL;
	if (!sender)
		return;
	push_sender_stop(sender, 0);
	for (size_t i = 0; i < PUSH_CONNECTIONS; i++) {
		curl_easy_cleanup(sender->transfers[i].easy);
		curl_slist_free_all(sender->transfers[i].headers);
	}
	curl_multi_cleanup(sender->multi);
	push_queue_free(&sender->queue);
	free(sender);
	curl_global_cleanup();
}

void
push_sender_add(struct push_sender *sender, uint64_t group, const struct push_message *message)
{
	push_queue_add(sender->queue, group, message);
	curl_multi_wakeup(sender->multi);
}

enum push_protocol
push_sender_protocol(const struct push_sender *sender)
{
	return push_negotiation_protocol(&sender->negotiation, clock_mono().us);
}

bool
push_sender_takes_native(const struct push_sender *sender)
{
	return push_negotiation_takes_native(&sender->negotiation, clock_mono().us);
}

struct push_queue *
push_sender_queue(const struct push_sender *sender)
{
	return sender->queue;
}
