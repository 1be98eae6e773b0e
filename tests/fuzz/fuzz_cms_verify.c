/* fuzz_cms_verify.c - a CMS object from a stranger: as application/pkcs7-mime and as the signature of a clear signed
 * message, verified against a collection that nobody in the input can lead to. Nothing may pass.
 */
#include "fuzz.h"

#include <time.h>
#include <unistd.h>

#include "mail/mime.h"
#include "smime/kind.h"
#include "smime/verdict.h"
#include "support/testpki.h"

#define HEADER "From: carol@partner.example\r\nMIME-Version: 1.0\r\n"

static struct collection *collection;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char path[] = "/tmp/fuzz-root.XXXXXX";
	const char *files[] = { path };
	const struct collection_settings settings = { .name = "fuzz", .files = { files, 1 } };
	struct testpki *root = testpki_root("Fuzz Root");
	int fd = mkstemp(path);

	(void)argc;
	(void)argv;
	PROMISE(fd >= 0);
	close(fd);
	testpki_write_pem(path, root, TESTPKI_CERT);
	collection = collection_load(&settings, &(struct collection_env){ .report = NULL }, NULL);
	PROMISE(collection != NULL);
	unlink(path);
	testpki_free(root);
	return 0;
}

static void check_layers(struct arena *arena, const struct layer_list *layers)
{
	struct verdict verdict;
	struct field *fields = NULL;
	struct header header;
	size_t n = 0, consumed = 0;

	for (size_t i = 0; i < layers->n; i++)
		PROMISE(layers->items[i].type != LAYER_SIGNED || layers->items[i].result != RESULT_PASS);
	verdict_make(layers, &verdict);
	PROMISE(verdict_fields(arena, &verdict, "mx.example.com", "fuzz", &fields, &n, NULL) == 0);
	for (size_t i = 0; i < n; i++) {
		PROMISE(header_parse(arena, fields[i].raw, &(struct header_limits){ 0 }, &header, &consumed,
				     NULL) == 0);
		PROMISE(header.n == 1 && consumed == fields[i].raw.n);
	}
}

static void verify(const struct buf *text)
{
	const struct collection *collections[] = { collection };
	const struct verify_env env = { .collections = collections, .collection_count = 1, .at = 1790000000,
					.limits = { .object_bytes = 1 << 20, .signer_infos = 16, .certificates = 64,
						    .cms_layers = 5 } };
	struct arena *arena = arena_new(FUZZ_ARENA_BYTES);
	struct layer_list layers = { NULL, 0 };
	struct message message;
	struct mime mime;
	enum kind kind;
	struct err err = { .class = ERR_NONE };

	PROMISE(message_parse(arena, buf_slice(text), &(struct header_limits){ 0 }, &message, &err) == 0);
	PROMISE(mime_parse(arena, &message, &(struct mime_limits){ 0 }, &mime, &err) == 0);
	PROMISE(kind_find(arena, &message, &mime, &kind, &err) == 0);
	PROMISE(verify_message(arena, &message, &mime, &env, &layers, &err) == 0);
	check_layers(arena, &layers);
	arena_free(arena);
}

static void append_base64(struct slice bytes, struct buf *text)
{
	struct stream *stream = encode_base64(stream_from_slice(bytes, NULL), NULL);

	PROMISE(stream != NULL && stream_read_all(stream, text, NULL) == 0);
	stream_close(stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf text;

	buf_init(&text, 0);
	PROMISE(buf_append_text(&text, HEADER "Content-Type: application/pkcs7-mime; name=smime.p7m\r\n"
				"Content-Transfer-Encoding: base64\r\n\r\n") == 0);
	append_base64(slice_make(data, size), &text);
	verify(&text);
	buf_reset(&text);
	PROMISE(buf_append_text(&text, HEADER "Content-Type: multipart/signed; "
				"protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=b\r\n\r\n"
				"--b\r\n\r\ntext\r\n--b\r\n"
				"Content-Type: application/pkcs7-signature; name=smime.p7s\r\n"
				"Content-Transfer-Encoding: base64\r\n\r\n") == 0);
	append_base64(slice_make(data, size), &text);
	PROMISE(buf_append_text(&text, "--b--\r\n") == 0);
	verify(&text);
	buf_clear(&text);
	return 0;
}
