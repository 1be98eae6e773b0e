/* control.h - how the master tells all processes of a generation what to do: a socket that they share. Nobody reads the
 * bytes away, they are peeked at, so that each process sees them. The end of the stream (the master is gone) is an
 * order too: drain.
 */
#ifndef MILTER_CONTROL_H
#define MILTER_CONTROL_H

#include "base/err.h"

enum control_order { CONTROL_SERVE, CONTROL_DRAIN, CONTROL_STOP };

/* ends[0] for the master, ends[1] for the generation. */
int control_open(int ends[2], struct err *err);
/* Gives an order, at the master's end; a later and stronger one counts. */
void control_give(int fd, enum control_order order);
/* The order that stands now, at the generation's end; does not wait. */
enum control_order control_order(int fd);

#endif
