#include "app/daemon_private.h"

#include "app/scrape.h"
#include "base/alloc.h"

#include <stdlib.h>

static void
serve_metrics(void *ctx, const struct http_request *request, struct http_reply *reply)
{
	struct daemon *daemon = ctx;
	scrape_answer(&daemon->scrapes, request, reply);
}

static void
add_html(struct buf *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			buf_add_text(out, "&amp;");
			break;
		case '<':
			buf_add_text(out, "&lt;");
			break;
		case '"':
			buf_add_text(out, "&quot;");
			break;
		default:
			buf_add_byte(out, *text);
		}
	}
}

static void
serve_landing(void *ctx, const struct http_request *request, struct http_reply *reply)
{
	struct daemon *daemon = ctx;
	(void)request;
	reply->content_type = "text/html; charset=utf-8";
	buf_add_text(&reply->body,
		     "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">"
		     "<title>statsbridge</title></head>\n<body>\n<h1>statsbridge</h1>\n"
		     "<p>Takes statsd and DogStatsD lines, serves Prometheus metrics.</p>\n"
		     "<p>Version " STATSBRIDGE_VERSION "</p>\n<ul>\n<li><a href=\"");
	add_html(&reply->body, daemon->options->web_telemetry_path);
	buf_add_text(&reply->body, "\">Metrics</a></li>\n"
				   "<li><a href=\"/-/healthy\">Healthy</a></li>\n"
				   "<li><a href=\"/-/ready\">Ready</a></li>\n"
				   "<li><a href=\"/api/v1/targets\">Scrape targets</a></li>\n"
				   "<li><a href=\"/api/v1/unmapped\">Unmapped names</a></li>\n"
				   "</ul>\n</body>\n</html>\n");
}

static void
serve_health(struct daemon *daemon, struct http_reply *reply, const char *fine)
{
	if (!daemon_is_healthy(daemon)) {
		reply->status = 503;
		buf_add_text(&reply->body, "A statsd listener has failed; see the log.\n");
		return;
	}
	if (daemon->is_quitting) {
		reply->status = 503;
		fine = "Terminating.\n";
	}
	buf_add_text(&reply->body, fine);
}

static void
serve_healthy(void *ctx, const struct http_request *request, struct http_reply *reply)
{
	(void)request;
	serve_health(ctx, reply, "Statsd Exporter is Healthy.\n");
}

static void
serve_ready(void *ctx, const struct http_request *request, struct http_reply *reply)
{
	(void)request;
	serve_health(ctx, reply, "Statsd Exporter is Ready.\n");
}

static void
serve_reload(void *ctx, const struct http_request *request, struct http_reply *reply)
{
	struct diag diag = DIAG_INIT;
	(void)request;
	if (daemon_reload(ctx, &diag)) {
		buf_add_text(&reply->body, "Requesting reload");
	} else {
		reply->status = 500;
		buf_add_text(&reply->body,
			     "Not reloaded; what is wrong stays as it was in force before.\n");
		for (size_t i = 0; i < diag.count; i++)
			buf_printf(&reply->body, "%s%s\n",
				   diag.messages[i].is_error ? "" : "warning: ",
				   diag.messages[i].text);
	}
	diag_fini(&diag);
}

static void
serve_unmapped(void *ctx, const struct http_request *request, struct http_reply *reply)
{
	struct daemon *daemon = ctx;
	(void)request;
	reply->content_type = "application/json";
	bridge_write_unmapped(daemon->bridge, &reply->body);
}

static void
quit_sent(void *ctx)
{
	daemon_quit(ctx);
}

static void
serve_quit(void *ctx, const struct http_request *request, struct http_reply *reply)
{
	(void)request;
	buf_add_text(&reply->body, "Requesting termination... Goodbye!");
	reply->sent = quit_sent;
	reply->sent_ctx = ctx;
}

static void
serve_sd(void *ctx, const struct http_request *request, struct http_reply *reply)
{
	struct daemon *daemon = ctx;
	target_api_sd(&daemon->target_api, request, reply);
}

static void
serve_target_list(void *ctx, const struct http_request *request, struct http_reply *reply)
{
	struct daemon *daemon = ctx;
	target_api_list(&daemon->target_api, request, reply);
}

static bool
admit_target_group(void *ctx, const struct http_request *request, struct http_reply *reply)
{
	struct daemon *daemon = ctx;
	return target_api_admit(&daemon->target_api, request, reply);
}

static void
serve_target_group(void *ctx, const struct http_request *request, struct http_reply *reply)
{
	struct daemon *daemon = ctx;
	target_api_group(&daemon->target_api, request, reply);
}

void
daemon_set_routes(struct daemon *daemon)
{
	const struct options *options = daemon->options;
	const char *telemetry = options->web_telemetry_path;
	size_t count = 0;
	struct http_route *routes = daemon->routes;
	routes[count++] =
	    (struct http_route){telemetry, HTTP_GET, serve_metrics,
				.subtree = telemetry[strlen(telemetry) - 1] == '/'};
	if (strcmp(telemetry, "/") != 0)
		routes[count++] = (struct http_route){"/", HTTP_GET, serve_landing};
	routes[count++] = (struct http_route){"/-/healthy", HTTP_GET, serve_healthy};
	routes[count++] = (struct http_route){"/-/ready", HTTP_GET, serve_ready};
	routes[count++] = (struct http_route){"/health", HTTP_GET, serve_healthy};
	routes[count++] = (struct http_route){TARGET_API_SD, HTTP_GET, serve_sd};
	routes[count++] = (struct http_route){TARGET_API_LIST, HTTP_GET, serve_target_list};
	routes[count++] = (struct http_route){
	    TARGET_API_GROUP,
	    HTTP_GET | HTTP_PUT | HTTP_DELETE,
	    serve_target_group,
	    .subtree = true,
	    .bearer_methods = *options->sd_token_file ? HTTP_PUT | HTTP_DELETE : 0,
	    .admit = admit_target_group,
	    .body_methods = HTTP_PUT,
	    .body_bytes = DOCUMENT_BYTES_MAX};
	routes[count++] = (struct http_route){"/api/v1/unmapped", HTTP_GET, serve_unmapped};
	if (options->web_enable_lifecycle) {
		routes[count++] =
		    (struct http_route){"/-/reload", HTTP_POST | HTTP_PUT, serve_reload};
		routes[count++] = (struct http_route){"/-/quit", HTTP_POST | HTTP_PUT, serve_quit};
	}
	CHECK(count < ROUTES_MAX);
	routes[count] = (struct http_route){.path = NULL};
}
