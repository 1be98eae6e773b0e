/* encode.c - base64 and quoted-printable as pull streams. Which encoding a part gets is canon.c's to choose. Called by
 * mime.c, canon.c and the steps of smime. Each stream works through fixed buffers; input may be plaintext, so they are
 * wiped. RFC 2045 6.7, 6.8; RFC 8551 3.1.3.
 */
#include "mail/encode.h"

#include <stdlib.h>
#include <string.h>

#include "base/crypt.h"
#include "mail/param.h"

#define IN_BYTES 16416		/* whole base64 lines: 288 times 57 */
#define OUT_BYTES (3 * IN_BYTES + 6144)
#define LINE_BYTES 57		/* that make one base64 line */
#define LINE_MAX_CHARACTERS 76
#define BLANKS_MAX 1024		/* blanks held back by the quoted-printable decoder; more in a row are text */

struct coder;

/* Turns what lies in in[] into out[]; all of it when ended. Keeps in in[] what needs more input to decide. */
typedef int coder_step(struct coder *coder, bool ended, struct err *err);

/* One frame for all four: source -> in[] -> step -> out[] -> reader. */
struct coder {
	struct stream *source;
	coder_step *step;
	bool ended;			/* source gave its end and step has seen it */
	bool option;			/* text, or strict */
	size_t in_n, out_at, out_n;
	unsigned column;		/* quoted-printable encoder: of the line being written */
	unsigned bits, bit_count;	/* base64 decoder: not yet a byte */
	unsigned padding;		/* base64 decoder: '=' seen */
	unsigned char in[IN_BYTES];
	unsigned char out[OUT_BYTES];
};

static const char base64_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Fills in[] as far as the source gives; *ended: it gave its end. */
static int coder_fill(struct coder *coder, bool *ended, struct err *err)
{
	ssize_t got = 0;

	*ended = false;
	while (coder->in_n < sizeof(coder->in)) {
		got = stream_read(coder->source, coder->in + coder->in_n, sizeof(coder->in) - coder->in_n, err);
		if (got < 0)
			return -1;
		if (got == 0) {
			*ended = true;
			return 0;
		}
		coder->in_n += (size_t)got;
	}
	return 0;
}

static ssize_t coder_read(void *self, void *p, size_t n, struct err *err)
{
	struct coder *coder = self;
	bool ended = false;

	while (coder->out_at == coder->out_n && !coder->ended) {
		coder->out_at = coder->out_n = 0;
		if (coder_fill(coder, &ended, err) < 0 || coder->step(coder, ended, err) < 0)
			return -1;
		coder->ended = ended;
	}
	if (n > coder->out_n - coder->out_at)
		n = coder->out_n - coder->out_at;
	memcpy(p, coder->out + coder->out_at, n);
	coder->out_at += n;
	return (ssize_t)n;
}

static void coder_close(void *self)
{
	struct coder *coder = self;

	stream_close(coder->source);
	crypt_wipe(coder, sizeof(*coder));
	free(coder);
}

static const struct stream_class coder_class = { coder_read, coder_close };

static struct stream *coder_open(struct stream *source, coder_step *step, bool option, struct err *err)
{
	struct coder *coder = NULL;

	if (source == NULL)
		return NULL;
	coder = calloc(1, sizeof(*coder));
	if (coder == NULL) {
		stream_close(source);
		err_memory(err);
		return NULL;
	}
	coder->source = source;
	coder->step = step;
	coder->option = option;
	return stream_new(&coder_class, coder, err);
}

static void put(struct coder *coder, unsigned char c)
{
	coder->out[coder->out_n++] = c;
}

static void put_break(struct coder *coder)
{
	put(coder, '\r');
	put(coder, '\n');
}

/* Drops what step has used of in[]. */
static void in_drop(struct coder *coder, size_t used)
{
	memmove(coder->in, coder->in + used, coder->in_n - used);
	coder->in_n -= used;
}

static void base64_group(struct coder *coder, const unsigned char *in, size_t n)
{
	unsigned bits = (unsigned)in[0] << 16 | (n > 1 ? (unsigned)in[1] << 8 : 0) | (n > 2 ? in[2] : 0U);

	put(coder, (unsigned char)base64_alphabet[bits >> 18]);
	put(coder, (unsigned char)base64_alphabet[bits >> 12 & 63]);
	put(coder, n > 1 ? (unsigned char)base64_alphabet[bits >> 6 & 63] : '=');
	put(coder, n > 2 ? (unsigned char)base64_alphabet[bits & 63] : '=');
}

static int base64_encode_step(struct coder *coder, bool ended, struct err *err)
{
	(void)err;
	(void)ended;	/* in[] is full of whole lines unless this is the end */
	for (size_t i = 0; i < coder->in_n; i += LINE_BYTES) {
		size_t line = coder->in_n - i < LINE_BYTES ? coder->in_n - i : LINE_BYTES;

		for (size_t k = 0; k < line; k += 3)
			base64_group(coder, coder->in + i + k, line - k);
		put_break(coder);
	}
	coder->in_n = 0;
	return 0;
}

struct stream *encode_base64(struct stream *source, struct err *err)
{
	return coder_open(source, base64_encode_step, false, err);
}

/* Value of a base64 character, 64 if it is none. */
static unsigned base64_value(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26U;
	if (c >= '0' && c <= '9')
		return c - '0' + 52U;
	return c == '+' ? 62 : c == '/' ? 63 : 64;
}

static void base64_take(struct coder *coder, unsigned value)
{
	coder->bits = coder->bits << 6 | value;
	coder->bit_count += 6;
	if (coder->bit_count < 8)
		return;
	coder->bit_count -= 8;
	put(coder, (unsigned char)(coder->bits >> coder->bit_count));
	coder->bits &= (1U << coder->bit_count) - 1;
}

static int base64_decode_step(struct coder *coder, bool ended, struct err *err)
{
	for (size_t i = 0; i < coder->in_n; i++) {
		unsigned char c = coder->in[i];
		unsigned value = base64_value(c);

		if (value < 64 && coder->padding == 0)
			base64_take(coder, value);
		else if (c == '=')
			coder->padding++;
		else if (coder->option && !ascii_is_blank((char)c))
			return err_set(err, ERR_MESSAGE, value < 64 ? "RFC 2045 6.8: data behind the end of base64" :
				       "RFC 2045 6.8: character \\x%02x in base64", c);
	}
	coder->in_n = 0;
	/* Whole groups of four: 0, 2 or 4 bits are left over, and as many '=' as are wanting. */
	if (ended && coder->option && (coder->bit_count == 6 || coder->padding * 2 != coder->bit_count))
		return err_set(err, ERR_MESSAGE, "RFC 2045 6.8: base64 ends within a group");
	return 0;
}

struct stream *decode_base64(struct stream *source, bool strict, struct err *err)
{
	return coder_open(source, base64_decode_step, strict, err);
}

static bool at_break(const struct coder *coder, size_t i)
{
	return coder->option && i + 1 < coder->in_n && coder->in[i] == '\r' && coder->in[i + 1] == '\n';
}

/* True if the byte at i is the last of its line. */
static bool ends_line(const struct coder *coder, size_t i)
{
	return i + 1 == coder->in_n || at_break(coder, i + 1);
}

/* True if the byte at i cannot stand for itself, when the line being written has come to coder->column. */
static bool must_encode(const struct coder *coder, size_t i)
{
	unsigned char c = coder->in[i];

	if (c == '=' || (c < ' ' && c != '\t') || c > '~')
		return true;
	if (c == ' ' || c == '\t')
		return ends_line(coder, i);
	if (coder->column > 0)
		return false;
	if (c == '.')
		return ends_line(coder, i);
	return c == 'F' && coder->in_n - i >= 5 && memcmp(coder->in + i, "From ", 5) == 0;
}

static void qp_put(struct coder *coder, size_t i)
{
	static const char digits[] = "0123456789ABCDEF";
	unsigned char c = coder->in[i];
	bool encode = must_encode(coder, i);

	if (coder->column + (encode ? 3U : 1U) > LINE_MAX_CHARACTERS - (ends_line(coder, i) ? 0U : 1U)) {
		put(coder, '=');
		put_break(coder);
		coder->column = 0;
		encode = must_encode(coder, i);
	}
	if (!encode) {
		put(coder, c);
		coder->column++;
		return;
	}
	put(coder, '=');
	put(coder, (unsigned char)digits[c >> 4]);
	put(coder, (unsigned char)digits[c & 15]);
	coder->column += 3;
}

static int qp_encode_step(struct coder *coder, bool ended, struct err *err)
{
	size_t i = 0;

	(void)err;
	/* "From " is the longest thing looked ahead for. */
	while (i < coder->in_n && (ended || coder->in_n - i >= 5)) {
		if (at_break(coder, i)) {
			put_break(coder);
			coder->column = 0;
			i += 2;
			continue;
		}
		qp_put(coder, i++);
	}
	in_drop(coder, i);
	return 0;
}

struct stream *encode_quoted_printable(struct stream *source, bool text, struct err *err)
{
	return coder_open(source, qp_encode_step, text, err);
}

static size_t blanks_length(const struct coder *coder, size_t i)
{
	size_t n = 0;

	while (i + n < coder->in_n && n < BLANKS_MAX && (coder->in[i + n] == ' ' || coder->in[i + n] == '\t'))
		n++;
	return n;
}

/* Length of the line break at i, 0 if there is none. */
static size_t break_length(const struct coder *coder, size_t i)
{
	if (i < coder->in_n && coder->in[i] == '\n')
		return 1;
	return i + 1 < coder->in_n && coder->in[i] == '\r' && coder->in[i + 1] == '\n' ? 2 : 0;
}

/* Decodes what stands behind '=' at i and returns how much was used. */
static size_t qp_decode_escape(struct coder *coder, size_t i)
{
	int high = i + 2 < coder->in_n ? ascii_hex_value((char)coder->in[i + 1]) : -1;
	int low = i + 2 < coder->in_n ? ascii_hex_value((char)coder->in[i + 2]) : -1;
	size_t end = i + 1 + blanks_length(coder, i + 1);

	if (high >= 0 && low >= 0) {
		put(coder, (unsigned char)(16 * high + low));
		return 3;
	}
	if (break_length(coder, end) > 0 || end == coder->in_n)
		return end + break_length(coder, end) - i;
	put(coder, '=');
	return 1;
}

/* Decodes the blanks at i: dropped where the line ends, since only transport can have put them there. */
static size_t qp_decode_blanks(struct coder *coder, size_t i)
{
	size_t n = blanks_length(coder, i);

	if (break_length(coder, i + n) > 0 || i + n == coder->in_n)
		return n;
	for (size_t k = 0; k < n; k++)
		put(coder, coder->in[i + k]);
	return n;
}

static int qp_decode_step(struct coder *coder, bool ended, struct err *err)
{
	size_t i = 0;

	(void)err;
	while (i < coder->in_n && (ended || coder->in_n - i > BLANKS_MAX + 3)) {
		unsigned char c = coder->in[i];

		if (c == '=') {
			i += qp_decode_escape(coder, i);
		} else if (c == ' ' || c == '\t') {
			i += qp_decode_blanks(coder, i);
		} else if (break_length(coder, i) > 0) {
			put_break(coder);
			i += break_length(coder, i);
		} else {
			put(coder, coder->in[i++]);
		}
	}
	in_drop(coder, i);
	return 0;
}

struct stream *decode_quoted_printable(struct stream *source, struct err *err)
{
	return coder_open(source, qp_decode_step, false, err);
}

struct stream *decode_transfer(struct stream *source, enum transfer_encoding encoding, struct err *err)
{
	if (encoding == CTE_BASE64)
		return decode_base64(source, false, err);
	if (encoding == CTE_QUOTED_PRINTABLE)
		return decode_quoted_printable(source, err);
	return source;
}

static const char *const cte_names[] = { "7bit", "8bit", "binary", "quoted-printable", "base64" };

/* The word in value without comments around it; n == 0: none, or not one. */
static struct slice only_word(struct slice value)
{
	struct slice rest = value, word = { NULL, 0 };

	if (!cfws_skip(&rest) || rest.n == 0 || rest.p[0] == '"' || !word_take(NULL, &rest, &word))
		return slice_make("", 0);
	return cfws_skip(&rest) && rest.n == 0 ? word : slice_make("", 0);
}

enum transfer_encoding encode_parse_cte(struct slice value)
{
	struct slice word = only_word(value);

	if (slice_trim(value).n == 0)
		return CTE_7BIT;
	for (size_t i = 0; i < sizeof(cte_names) / sizeof(cte_names[0]); i++) {
		if (slice_is_nocase(word, cte_names[i]))
			return (enum transfer_encoding)i;
	}
	return CTE_UNKNOWN;
}

const char *encode_cte_name(enum transfer_encoding encoding)
{
	return encoding < CTE_UNKNOWN ? cte_names[encoding] : "unknown";
}
