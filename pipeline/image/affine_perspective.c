/* affine_perspective - the map of the plane that takes four points to four points. */
#include <math.h>
#include <string.h>

#include "pipeline/image/affine.h"

enum { UNKNOWNS = 8 };

/* Gauss with the largest pivot of each column; false if the equations do not have one solution. */
static bool solve(double a[UNKNOWNS][UNKNOWNS + 1])
{
    for (int k = 0; k < UNKNOWNS; k++) {
        int best = k;
        for (int i = k + 1; i < UNKNOWNS; i++) {
            best = fabs(a[i][k]) > fabs(a[best][k]) ? i : best;
        }
        if (!(fabs(a[best][k]) > 1e-9)) {
            return false;
        }
        double row[UNKNOWNS + 1];
        memcpy(row, a[best], sizeof row);
        memcpy(a[best], a[k], sizeof row);
        memcpy(a[k], row, sizeof row);
        for (int i = 0; i < UNKNOWNS; i++) {
            const double by = a[i][k] / a[k][k];
            for (int j = k; i != k && j <= UNKNOWNS; j++) {
                a[i][j] -= by * a[k][j];
            }
        }
    }
    return true;
}

/* x' (m6 x + m7 y + 1) = m0 x + m1 y + m2, y' likewise: two equations a point. */
void affine_perspective(float m[8], const float from[8], const float to[8])
{
    double a[UNKNOWNS][UNKNOWNS + 1] = {{0}};
    for (int i = 0; i < 4; i++) {
        const double x = (double)from[2 * i], y = (double)from[2 * i + 1];
        for (int axis = 0; axis < 2; axis++) {
            double *row = a[2 * i + axis];
            const double there = (double)to[2 * i + axis];
            row[3 * axis] = x;
            row[3 * axis + 1] = y;
            row[3 * axis + 2] = 1;
            row[6] = -x * there;
            row[7] = -y * there;
            row[8] = there;
        }
    }
    if (!solve(a)) {
        affine_identity(m);
        return;
    }
    for (int k = 0; k < UNKNOWNS; k++) {
        m[k] = (float)(a[k][UNKNOWNS] / a[k][k]);
    }
}
