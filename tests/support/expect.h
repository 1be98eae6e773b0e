/* expect.h - what a golden case's `expect` file demands of an outcome. One demand a line, words as in words.h; its
 * first line is a comment that says what the case is about. A word that is not in the table is a failure.
 *
 * The outcome
 *	action accept|reject|tempfail		reply CODE XCODE [TEXT in it]
 *	observed				unchanged	(not a byte, no edit)
 *	body-unchanged				kind NAME	edits N
 *	recipient ADDRESS action|rule|direction|cipher|signed-by|reason|encrypted|source|message TEXT
 *		(rule "none"; signed-by an address of the certificate, or "nobody"; encrypted N: number of certificates;
 *		message N: the one he gets, "none")
 *	copies N				(there are none where this does not stand)
 * The verdict
 *	result NAME | unverified		reason TEXT (in it)
 *	layers N				layer I NAME VALUE	(I from 1; NAME as in X-SMIME-Layer, or part)
 *	harvests N (there are none where this does not stand)
 *	harvest I address|of|mode|rule|collection|chain|ciphers VALUE	(of: NAME whose certificate it is; chain: number
 *		of CAs; ciphers "unknown")
 * The message that goes on, and after `message N` the N. copy (0: the original again); "inner" is all of it at first
 *	header-has NAME [TEXT]			header-lacks NAME [TEXT]	header-count NAME N
 *	header-top NAME…			the first fields, in that order
 *	header-kept NAME			these fields are byte for byte those that came
 *	output-has TEXT				output-lacks TEXT
 *	seven-bit				no-line-over N
 *	signed-by ADDRESS			inner is signed so, say both the gateway and OpenSSL; then it is what
 *						was signed
 *	  digest NAME | algorithm NAME | certificates N | no-root | root | announces | announces-nothing
 *	decrypts-for NAME			inner is an envelope; inner becomes its content
 *	  cipher NAME | recipients N		cannot-decrypt NAME
 *	  recipients-by key-id|issuer-serial	(how all of them are named)
 *	inner-type TYPE				inner-parameter NAME VALUE
 *	inner-has TEXT				inner-lacks TEXT
 *	inner-header NAME [TEXT]		inner-header-lacks NAME
 *	inner-text TEXT				its body decoded is exactly that
 *	inner-file NAME				it is exactly that file (CRLF line ends made)
 *	inner-message				what came, its header fields but Content-* removed, is inner
 *	outer					inner is the whole message again
 */
#ifndef EXPECT_H
#define EXPECT_H

#include "support/oracle.h"
#include "support/passage.h"
#include "support/people.h"

struct expect {
	const struct people *people;
	const struct site *site;
	const struct passage *passage;
	const char *folder;		/* of the case */
	struct slice wire;		/* as the message came */
	struct arena *arena;
	const struct message *current;	/* the one that is looked at */
	struct buf output, inner;
	struct oracle_signature signature;
	struct oracle_envelope envelope;
};

/* The demands one by one. NULL: all are met; else why not, in expect->arena. */
const char *expect_demands(struct expect *expect, struct slice demands);
/* The edits lead from the header that came to the one that goes on, as far as the fields go; a field of ours that
 * replaces another in the middle may stand at the end. NULL or why not. */
const char *expect_edits(struct expect *expect);
/* What holds for every outcome, asked or not: nothing is changed where nothing is said to be changed, edits lead to the
 * header that is told, no line break without its CR in what we wrote. NULL or why not. */
const char *expect_always(struct expect *expect);
void expect_clear(struct expect *expect);

#endif
