#include "app/web_config.h"

#include "app/options_table.h"
#include "base/alloc.h"
#include "base/excerpt.h"
#include "base/file.h"
#include "base/log.h"
#include "base/near.h"
#include "http/password.h"
#include "yaml/scalar.h"
#include "yaml/ynode.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

/* Bytes of a header's value, and names that a client's certificate may have. */
#define HEADER_VALUE_MAX 4096
#define SANS_MAX 1000
/* Users, and bytes of their names. */
#define USERS_MAX 1000
#define USER_NAME_MAX 256

/* Where a key may stand. */
enum section { IN_FILE, IN_TLS, IN_HTTP, IN_HEADERS, IN_USERS, SECTIONS };

static const char *const section_names[SECTIONS] = {
    [IN_FILE] = "",
    [IN_TLS] = "tls_server_config",
    [IN_HTTP] = "http_server_config",
    [IN_HEADERS] = "http_server_config.headers",
    [IN_USERS] = "basic_auth_users",
};

struct reader {
	const char *path;
	enum web_config_use use;
	struct web_config *config;
	struct diag *diag;
	const struct ynode *tls, *client_auth, *sans; /* where they are there */
};

struct key {
	enum section section;
	const char *name;
	const char *expected;
	/** @return false when the value is not what is expected; other errors it reports itself */
	bool (*take)(struct reader *reader, const struct key *key, const struct ynode *value);
	size_t offset;   /* of its field, if it has one */
	unsigned detail; /* what else `take` has to know */
};

static void report(struct reader *reader, const struct ynode *at, enum section section,
		   const char *key, const char *format, ...) PRINTF_LIKE(5, 6);

static void
report(struct reader *reader, const struct ynode *at, enum section section, const char *key,
       const char *format, ...)
{
	struct buf name = BUF_INIT, text = BUF_INIT;
	va_list args;
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	const char *outer = section_names[section];
	buf_printf(&name, "%s%s%s", outer, *outer && *key ? "." : "", key);
	diag_error(reader->diag, (struct diag_place){reader->path, at->line, at->column},
		   name.len ? buf_text(&name) : NULL, "%s", buf_text(&text));
	buf_fini(&name);
	buf_fini(&text);
}

static void read_section(struct reader *reader, enum section section, const struct ynode *map);

/* ---- Values. ---- */

static void *
field_of(struct reader *reader, const struct key *key)
{
	return (char *)reader->config + key->offset;
}

static bool
take_section(struct reader *reader, const struct key *key, const struct ynode *value)
{
	if (value->type != YNODE_MAP)
		return false;
	read_section(reader, (enum section)key->detail, value);
	return true;
}

static bool
take_tls(struct reader *reader, const struct key *key, const struct ynode *value)
{
	reader->config->has_tls = value->type == YNODE_MAP && value->map.count > 0;
	return take_section(reader, key, value);
}

/* @text consumed */
static void
keep(char **slot, char *text)
{
	free(*slot);
	*slot = text;
}

static struct tls_pem *
place_pem(struct reader *reader, const struct key *key, const struct ynode *value)
{
	struct tls_pem *pem = field_of(reader, key);
	pem->line = value->line;
	pem->column = value->column;
	return pem;
}

static bool
take_pem_text(struct reader *reader, const struct key *key, const struct ynode *value)
{
	if (value->type != YNODE_SCALAR)
		return false;
	keep(&place_pem(reader, key, value)->text, xmemdup0(value->text.ptr, value->text.len));
	return true;
}

/* Relative to the folder of the file, as the toolkit has it. */
static bool
take_pem_path(struct reader *reader, const struct key *key, const struct ynode *value)
{
	if (value->type != YNODE_SCALAR)
		return false;
	if (!value->text.len)
		return true;
	const char *slash = strrchr(reader->path, '/');
	struct buf path = BUF_INIT;
	if (slash && value->text.ptr[0] != '/')
		buf_add(&path, reader->path, (size_t)(slash - reader->path) + 1);
	buf_add_span(&path, value->text);
	keep(&place_pem(reader, key, value)->path, xstrdup(buf_text(&path)));
	buf_fini(&path);
	return true;
}

static bool
take_flag(struct reader *reader, const struct key *key, const struct ynode *value)
{
	return value->type == YNODE_SCALAR && value->is_plain &&
	       scalar_parse_flag(value->text, field_of(reader, key));
}

/* A limit that is not kept would be worse than none. */
static bool
refuse_rate_limit(struct reader *reader, const struct key *key, const struct ynode *value)
{
	report(
	    reader, value, key->section, key->name,
	    "not taken: connections and wrong passwords have limits for each address, and scrapes "
	    "that come together share their work");
	return true;
}

static bool
take_http2(struct reader *reader, const struct key *key, const struct ynode *value)
{
	bool wanted;
	(void)reader, (void)key;
	return value->type == YNODE_SCALAR && value->is_plain &&
	       scalar_parse_flag(value->text, &wanted);
}

/* @return the name of a list that `name` most looks like, or NULL */
static const char *
find_near_name(enum tls_names list, struct span name)
{
	const char *best = NULL;
	size_t nearest = name.len / 3 + 1;
	for (size_t i = 0; tls_name(list, i); i++) {
		size_t distance = near_distance(name, span_text(tls_name(list, i)));
		if (distance < nearest) {
			nearest = distance;
			best = tls_name(list, i);
		}
	}
	return best;
}

/* @return the position of a name, or -1 after reporting it */
static int
find_name(struct reader *reader, const struct key *key, const struct ynode *value)
{
	enum tls_names list = (enum tls_names)key->detail;
	char text[EXCERPT_SIZE];
	int position = tls_name_find(list, value->text);
	if (position >= 0)
		return position;
	const char *near = find_near_name(list, value->text);
	struct buf choices = BUF_INIT;
	for (size_t i = 0; !near && tls_name(list, i); i++)
		buf_printf(&choices, "%s%s", i ? ", " : "one of ", tls_name(list, i));
	report(reader, value, key->section, key->name, "unknown name %s; %s%s%s",
	       excerpt_quote(value->text, text), near ? "did you mean \"" : buf_text(&choices),
	       near ? near : "", near ? "\"?" : "");
	buf_fini(&choices);
	return -1;
}

static bool
take_version(struct reader *reader, const struct key *key, const struct ynode *value)
{
	if (value->type != YNODE_SCALAR)
		return false;
	int position = find_name(reader, key, value);
	if (position >= 0)
		*(unsigned *)field_of(reader, key) = (unsigned)position;
	return true;
}

static bool
take_client_auth(struct reader *reader, const struct key *key, const struct ynode *value)
{
	if (value->type != YNODE_SCALAR)
		return false;
	/* As if it were not there, as the toolkit has it. */
	if (!value->text.len)
		return true;
	int position = find_name(reader, key, value);
	reader->client_auth = value;
	/* The last name is an older one. */
	if (position > TLS_CLIENT_REQUIRE_AND_VERIFY)
		position = TLS_CLIENT_REQUIRE_ANY;
	if (position >= 0)
		reader->config->tls.client_auth = (enum tls_client_auth)position;
	reader->config->has_client_auth = true;
	return true;
}

static bool
take_choices(struct reader *reader, const struct key *key, const struct ynode *value)
{
	struct tls_choices *choices = field_of(reader, key);
	if (value->type != YNODE_LIST)
		return false;
	for (size_t i = 0; i < value->list.count; i++) {
		if (value->list.items[i]->type != YNODE_SCALAR)
			return false;
		int position = find_name(reader, key, value->list.items[i]);
		if (position < 0 || memchr(choices->items, position, choices->count))
			continue;
		CHECK(choices->count < TLS_CHOICES_MAX);
		choices->items[choices->count++] = (unsigned char)position;
	}
	return true;
}

static bool
take_sans(struct reader *reader, const struct key *key, const struct ynode *value)
{
	struct tls_settings *tls = &reader->config->tls;
	if (value->type != YNODE_LIST)
		return false;
	if (value->list.count > SANS_MAX)
		report(reader, value, key->section, key->name, "more than %d names", SANS_MAX);
	if (value->list.count > SANS_MAX || tls->allowed_sans)
		return true;
	reader->sans = value;
	tls->allowed_sans = xcalloc(value->list.count + 1, sizeof(char *));
	for (size_t i = 0; i < value->list.count; i++) {
		const struct ynode *item = value->list.items[i];
		if (item->type != YNODE_SCALAR)
			return false;
		tls->allowed_sans[tls->san_count++] = xmemdup0(item->text.ptr, item->text.len);
	}
	return true;
}

/* @return what the values of a header may be, as option_find_choice() takes it; NULL = anything */
static const char *
header_choices(const char *name)
{
	return strcmp(name, "X-Frame-Options") == 0          ? "deny|sameorigin"
	       : strcmp(name, "X-Content-Type-Options") == 0 ? "nosniff"
							     : NULL;
}

static bool
is_header_value(struct span value)
{
	for (size_t i = 0; i < value.len; i++)
		if ((unsigned char)value.ptr[i] < ' ' || value.ptr[i] == 0x7f)
			return false;
	return value.len <= HEADER_VALUE_MAX;
}

static bool
take_header(struct reader *reader, const struct key *key, const struct ynode *value)
{
	struct web_config *config = reader->config;
	if (value->type != YNODE_SCALAR || !is_header_value(value->text))
		return false;
	char *text = xmemdup0(value->text.ptr, value->text.len);
	const char *choices = header_choices(key->name);
	if (!*text || (choices && option_find_choice(choices, text, true) < 0)) {
		bool is_empty = !*text;
		free(text);
		return is_empty; /* no such header */
	}
	config->headers[config->header_count++] = (struct http_header){xstrdup(key->name), text};
	return true;
}

/* @return what is wrong with a user, or NULL */
static const char *
find_user_fault(struct span name, const struct ynode *hash)
{
	int cost = hash->type == YNODE_SCALAR ? password_hash_cost(hash->text) : -1;
	if (!name.len || name.len > USER_NAME_MAX || span_find(name, ':'))
		return "a user's name has 1 to 256 bytes and no colon";
	if (cost < 0)
		return "expected a bcrypt hash such as $2y$10$..., as htpasswd -nBC 10 '' makes it";
	if (cost < PASSWORD_COST_MIN || cost > PASSWORD_COST_MAX)
		return "the cost of a hash must be 4 to 16; more takes seconds for each password";
	return NULL;
}

static bool
take_users(struct reader *reader, const struct key *key, const struct ynode *value)
{
	struct web_config *config = reader->config;
	if (value->type != YNODE_MAP)
		return false;
	if (value->map.count > USERS_MAX) {
		report(reader, value, key->section, key->name, "more than %d users", USERS_MAX);
		return true;
	}
	config->users = xcalloc(value->map.count + 1, sizeof(*config->users));
	for (size_t i = 0; i < value->map.count; i++) {
		const struct ynode *name = value->map.pairs[i].key,
				   *hash = value->map.pairs[i].value;
		char shown[EXCERPT_SIZE];
		const char *fault = find_user_fault(name->text, hash);
		if (fault) {
			report(reader, hash, IN_USERS, excerpt_quote(name->text, shown), "%s",
			       fault);
			continue;
		}
		config->users[config->user_count++] =
		    (struct http_user){xmemdup0(name->text.ptr, name->text.len),
				       xmemdup0(hash->text.ptr, hash->text.len)};
	}
	return true;
}

/* ---- Keys. ---- */

#define AT(field) offsetof(struct web_config, field)
#define A_TEXT "a text"
#define A_PATH "a path"
#define A_FLAG "true or false"
#define A_LIST "a list of names"
#define A_MAP "a mapping"
#define A_HEADER "a text of at most 4096 printable characters"

static const struct key keys[] = {
    {IN_FILE, "tls_server_config", A_MAP, take_tls, 0, IN_TLS},
    {IN_FILE, "http_server_config", A_MAP, take_section, 0, IN_HTTP},
    {IN_FILE, "basic_auth_users", "a mapping of names to bcrypt hashes", take_users, 0, 0},
    {IN_FILE, "rate_limit", A_MAP, refuse_rate_limit, 0, 0},
    {IN_TLS, "cert_file", A_PATH, take_pem_path, AT(tls.certificate), 0},
    {IN_TLS, "key_file", A_PATH, take_pem_path, AT(tls.key), 0},
    {IN_TLS, "client_ca_file", A_PATH, take_pem_path, AT(tls.client_ca), 0},
    {IN_TLS, "cert", A_TEXT, take_pem_text, AT(tls.certificate), 0},
    {IN_TLS, "key", A_TEXT, take_pem_text, AT(tls.key), 0},
    {IN_TLS, "client_ca", A_TEXT, take_pem_text, AT(tls.client_ca), 0},
    {IN_TLS, "client_auth_type", A_TEXT, take_client_auth, 0, TLS_CLIENT_AUTHS},
    {IN_TLS, "client_allowed_sans", A_LIST, take_sans, 0, 0},
    {IN_TLS, "min_version", "TLS10 to TLS13", take_version, AT(tls.min_version), TLS_VERSIONS},
    {IN_TLS, "max_version", "TLS10 to TLS13", take_version, AT(tls.max_version), TLS_VERSIONS},
    {IN_TLS, "cipher_suites", A_LIST, take_choices, AT(tls.suites), TLS_SUITES},
    {IN_TLS, "curve_preferences", A_LIST, take_choices, AT(tls.curves), TLS_CURVES},
    {IN_TLS, "prefer_server_cipher_suites", A_FLAG, take_flag, AT(tls.prefers_own_order), 0},
    {IN_HTTP, "http2", A_FLAG, take_http2, 0, 0},
    {IN_HTTP, "headers", A_MAP, take_section, 0, IN_HEADERS},
    {IN_HEADERS, "Content-Security-Policy", A_HEADER, take_header, 0, 0},
    {IN_HEADERS, "X-Frame-Options", "deny or sameorigin", take_header, 0, 0},
    {IN_HEADERS, "X-Content-Type-Options", "nosniff", take_header, 0, 0},
    {IN_HEADERS, "X-XSS-Protection", A_HEADER, take_header, 0, 0},
    {IN_HEADERS, "Strict-Transport-Security", A_HEADER, take_header, 0, 0},
};

static const struct key *
find_key(enum section section, struct span name)
{
	for (size_t i = 0; i < COUNT_OF(keys); i++)
		if (keys[i].section == section && span_equal(span_text(keys[i].name), name))
			return &keys[i];
	return NULL;
}

static void
report_unknown(struct reader *reader, enum section section, const struct ynode *key)
{
	const char *best = NULL;
	size_t nearest = key->text.len / 3 + 1;
	char text[EXCERPT_SIZE];
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		size_t distance = near_distance(key->text, span_text(keys[i].name));
		if (keys[i].section == section && distance < nearest) {
			nearest = distance;
			best = keys[i].name;
		}
	}
	report(reader, key, section, "", "unknown key %s%s%s%s", excerpt_quote(key->text, text),
	       best ? "; did you mean \"" : "", best ? best : "", best ? "\"?" : "");
}

static void
read_section(struct reader *reader, enum section section, const struct ynode *map)
{
	for (size_t i = 0; i < map->map.count; i++) {
		const struct ynode *name = map->map.pairs[i].key, *value = map->map.pairs[i].value;
		const struct key *key = find_key(section, name->text);
		char got[YNODE_DESCRIPTION_SIZE];
		if (!key)
			report_unknown(reader, section, name);
		else if (section == IN_FILE && reader->use == WEB_CONFIG_TLS_ONLY &&
			 key->detail != IN_TLS)
			report(reader, name, section, key->name,
			       "only --web.config.file takes this");
		else if (value->type != YNODE_NULL && !key->take(reader, key, value))
			report(reader, value, section, key->name, "expected %s, got %s",
			       key->expected, ynode_describe(value, got));
		if (key && key->detail == IN_TLS && section == IN_FILE)
			reader->tls = name;
	}
}

/* ---- The file as a whole. ---- */

/* What must come from one place. @return whether it is there */
static bool
check_pem(struct reader *reader, const struct tls_pem *pem, const char *name)
{
	if (pem->path && pem->text)
		report(reader, reader->tls, IN_TLS, "", "%s and %s_file exclude each other", name,
		       name);
	return pem->path || pem->text;
}

static void
check_tls(struct reader *reader)
{
	const struct tls_settings *tls = &reader->config->tls;
	bool has_certificate = check_pem(reader, &tls->certificate, "cert");
	bool has_key = check_pem(reader, &tls->key, "key");
	bool has_authority = check_pem(reader, &tls->client_ca, "client_ca");
	if (!has_certificate || !has_key)
		report(reader, reader->tls, IN_TLS, "", "needs %s",
		       has_certificate ? "key_file" : "cert_file");
	if (has_authority && !tls->client_auth)
		report(reader, reader->tls, IN_TLS, "",
		       "client_ca_file has no effect without a client_auth_type");
	if (!has_authority && tls->client_auth >= TLS_CLIENT_VERIFY_IF_GIVEN)
		report(reader, reader->client_auth, IN_TLS, "client_auth_type",
		       "needs client_ca_file");
	/* Who may come without a certificate has no names to compare. */
	if (reader->sans && !tls_demands_certificate(tls->client_auth))
		report(reader, reader->sans, IN_TLS, "client_allowed_sans",
		       "needs a client_auth_type of RequireAnyClientCert or "
		       "RequireAndVerifyClientCert");
	else if (reader->sans && !tls->san_count)
		report(reader, reader->sans, IN_TLS, "client_allowed_sans",
		       "lets nobody in when it is empty");
	if (tls->min_version > tls->max_version)
		report(reader, reader->tls, IN_TLS, "", "min_version is above max_version");
	else if (tls_lowest_version(tls) > tls->max_version)
		report(reader, reader->tls, IN_TLS, "",
		       "cipher_suites has names of TLS 1.3 only, which is above max_version");
}

bool
web_config_parse(const char *path, struct span text, enum web_config_use use,
		 struct web_config *config, struct diag *diag)
{
	struct reader reader = {.path = path, .use = use, .config = config, .diag = diag};
	size_t errors = diag->errors;
	*config = (struct web_config){.tls = tls_settings_new()};
	config->headers = xcalloc(COUNT_OF(keys), sizeof(*config->headers));
	struct ydocument *document = ydocument_parse(path, text, diag);
	const struct ynode *root = document ? ydocument_root(document) : NULL;
	if (root && root->type == YNODE_MAP)
		read_section(&reader, IN_FILE, root);
	else if (root && root->type != YNODE_NULL)
		report(&reader, root, IN_FILE, "", "expected a mapping");
	if (config->has_tls)
		check_tls(&reader);
	else if (document && use == WEB_CONFIG_TLS_ONLY && diag->errors == errors)
		diag_error(diag, (struct diag_place){.file = path}, NULL,
			   "needs tls_server_config");
	if (document)
		ydocument_free(&document);
	return diag->errors == errors;
}

bool
web_config_read(const char *path, enum web_config_use use, struct web_config *config,
		struct diag *diag)
{
	struct buf text = BUF_INIT;
	int fault = file_read(path, O_NONBLOCK, WEB_CONFIG_BYTES_MAX, &text);
	if (fault) {
		*config = (struct web_config){.tls = tls_settings_new()};
		diag_error(diag, (struct diag_place){.file = path}, NULL, "cannot read: %s",
			   fault == EFBIG ? "larger than 1 MiB" : log_errno_text(fault));
	}
	bool is_good = !fault && web_config_parse(path, buf_span(&text), use, config, diag);
	buf_fini(&text);
	return is_good;
}

void
web_config_fini(struct web_config *config)
{
	tls_settings_fini(&config->tls);
	for (size_t i = 0; i < config->header_count; i++) {
		free(config->headers[i].name);
		free(config->headers[i].value);
	}
	free(config->headers);
	for (size_t i = 0; i < config->user_count; i++) {
		free(config->users[i].name);
		free(config->users[i].hash);
	}
	free(config->users);
	*config = (struct web_config){0};
}
