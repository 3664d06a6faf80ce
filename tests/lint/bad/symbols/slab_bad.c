int slab_count;
static int hidden = 3;
int lease_slab(void);
int lease_slab(void)
{
    return slab_count + hidden++;
}
