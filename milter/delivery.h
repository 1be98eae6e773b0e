/* delivery.h - what an accepted outcome needs besides the original transaction: copies for recipients who get another
 * message, and a report to the sender about recipients who get none.
 */
#ifndef MILTER_DELIVERY_H
#define MILTER_DELIVERY_H

#include "gate/gate.h"

/* Without a way to send copies an outcome that needs them is refused as a whole (550 5.7.0): nothing has left yet. */
void delivery_run(struct outcome *outcome);

#endif
