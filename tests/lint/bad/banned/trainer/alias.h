typedef struct slab slab;
