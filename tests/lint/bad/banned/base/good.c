/* strcpy(a, b) is not called, time() neither */
int f(struct x *x)
{
    return x->time(x) + my_rand(3) + g("printf(x)");
}
typedef const struct x *(*x_fn)(void);
