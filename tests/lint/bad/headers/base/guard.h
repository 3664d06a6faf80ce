/* guard - x. */
#ifndef GUARD_H
#define GUARD_H
#endif
