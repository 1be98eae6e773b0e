/* fuzz_encode.c - transfer encodings: the decoders take anything, and what the encoders wrote they give back. */
#include "fuzz.h"

#include "mail/encode.h"

static bool read_all(struct stream *stream, struct buf *out)
{
	bool good;

	PROMISE(stream != NULL);
	good = stream_read_all(stream, out, NULL) == 0;
	stream_close(stream);
	return good;
}

static void decode(struct slice bytes)
{
	struct buf out;

	buf_init(&out, 0);
	read_all(decode_base64(stream_from_slice(bytes, NULL), true, NULL), &out);
	buf_reset(&out);
	PROMISE(read_all(decode_base64(stream_from_slice(bytes, NULL), false, NULL), &out));
	buf_reset(&out);
	read_all(decode_quoted_printable(stream_from_slice(bytes, NULL), NULL), &out);
	PROMISE(out.n <= 2 * bytes.n);
	buf_clear(&out);
}

static void round_trip(struct slice bytes, bool base64)
{
	struct buf there, back;
	size_t column = 0;

	buf_init(&there, 0);
	buf_init(&back, 0);
	PROMISE(read_all(base64 ? encode_base64(stream_from_slice(bytes, NULL), NULL) :
				  encode_quoted_printable(stream_from_slice(bytes, NULL), true, NULL), &there));
	for (size_t i = 0; i < there.n; i++) {
		PROMISE(there.p[i] < 127 && (there.p[i] >= 32 || there.p[i] == '\r' || there.p[i] == '\n' ||
					     there.p[i] == '\t'));
		column = there.p[i] == '\n' ? 0 : column + 1;
		PROMISE(column <= 77);
	}
	PROMISE(read_all(base64 ? decode_base64(stream_from_slice(buf_slice(&there), NULL), true, NULL) :
				  decode_quoted_printable(stream_from_slice(buf_slice(&there), NULL), NULL), &back));
	PROMISE(slice_equal(buf_slice(&back), bytes));
	buf_clear(&there);
	buf_clear(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_make(data, size);

	decode(bytes);
	round_trip(bytes, true);
	round_trip(bytes, false);
	return 0;
}
