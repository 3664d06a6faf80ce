float f(float x)
{
    return _mm256_fmadd_ps(x, x, x);
}
