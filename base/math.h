/* math - exp, log, sin, cos, tanh, pow that give the same bits on every x86-64 (no FMA, no libm dispatch).
 *
 * Law 3: glibc picks its code by CPU and gives other bits without FMA, so nothing that a sample's value depends on may call
 * libm. sqrt, floor, ceil, rint, fabs are exact by IEEE 754 and are allowed.
 * Accuracy: within 1 ulp of the true value, tanh within 2.5; the results rounded to float within 1 ulp of float.
 */
#ifndef BASE_MATH_H
#define BASE_MATH_H

double math_exp(double x);
double math_log(double x);
double math_sin(double x); /* |x| <= 2^20 */
double math_cos(double x);
double math_tanh(double x);
double math_pow(double x, double y); /* x > 0 */

#endif
