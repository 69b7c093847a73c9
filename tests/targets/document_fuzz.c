/* Any bytes either make a document that reads as itself again, or one line that says why not. */
#include "targets/document.h"

#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_error(const struct buf *error)
{
	CHECK(error->len > 0 && error->len < 1024);
	CHECK(utf8_is_valid(buf_span(error)));
	for (size_t i = 0; i < error->len; i++)
		CHECK((unsigned char)error->ptr[i] >= ' ' && error->ptr[i] != 0x7f);
}

static void
check_document(const struct document *document)
{
	struct document again;
	struct buf text = BUF_INIT, error = BUF_INIT;
	CHECK(utf8_is_valid(span_of(document->text, document->len)));
	CHECK(document->targets <= DOCUMENT_TARGETS_MAX);
	CHECK(!memchr(document->text, '\n', document->len));
	buf_printf(&text, "[%s]", document->text);
	CHECK(text.len == document->len + 2);
	CHECK(document_parse(buf_span(&text), &again, &error));
	CHECK(again.targets == document->targets);
	CHECK(span_equal(span_of(again.text, again.len), span_of(document->text, document->len)));
	document_fini(&again);
	buf_fini(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct document document;
	struct buf error = BUF_INIT;
	if (document_parse(span_of((const char *)data, size), &document, &error)) {
		CHECK(error.len == 0);
		check_document(&document);
		document_fini(&document);
	} else {
		check_error(&error);
	}
	buf_fini(&error);
	return 0;
}
