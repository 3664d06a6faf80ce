float f(float x)
{
    return sinf(x);
}
