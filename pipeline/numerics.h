/* numerics - the version of what a stage, an op, a fusion or a permutation gives: it rises with every
 * change of that, and is part of what names a pipeline and what is kept of it.
 *
 * Owns, Threads, Errors, Lifetime: a constant.
 */
#ifndef PIPELINE_NUMERICS_H
#define PIPELINE_NUMERICS_H

enum { NUMERICS_VERSION = 3 };

#endif
