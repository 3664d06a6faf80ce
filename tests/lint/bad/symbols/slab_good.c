const char *const slab_names[] = {"a", "b"};
static int half(int x)
{
    return x / 2;
}
int slab_half(int x);
int slab_half(int x)
{
    return half(x);
}
