// Normal numbers from a counter: Philox 4x32-10 and Box-Muller, as kernels/philox.py has them.
// Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011, table 2.
#pragma once

__device__ inline void philox(unsigned int word[4], unsigned int key0, unsigned int key1) {
    for (int round = 0; round < 10; ++round) {
        const unsigned int high0 = __umulhi(0xD2511F53u, word[0]);
        const unsigned int low0 = 0xD2511F53u * word[0];
        const unsigned int high1 = __umulhi(0xCD9E8D57u, word[2]);
        const unsigned int low1 = 0xCD9E8D57u * word[2];
        word[0] = high1 ^ word[1] ^ key0;
        word[1] = low1;
        word[2] = high0 ^ word[3] ^ key1;
        word[3] = low0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

// Element `element` of draw `draw` of a seed: the stream A1111 calls "NV". In float64 like its
// model, rounded once; the angle's unit is 2π / 2³² as a float32.
__device__ inline float normal(unsigned long long seed, unsigned int draw, unsigned int element) {
    unsigned int word[4] = {draw, 0u, element, 0u};
    philox(word, (unsigned int)seed, (unsigned int)(seed >> 32));
    const double unit = 2.3283064365386963e-10;  // 2⁻³²
    const double turn = (double)1.4629180792671596e-09f;
    const double radius = sqrt(-2.0 * log((double)word[0] * unit + unit / 2));
    const double angle = (double)word[1] * turn + turn / 2;
    // No turn is as large; said in the words of CUDA's sin, which then leaves out its path for larger
    // angles, and with it a stack.
    __builtin_assume(!(fabs(angle) >= 2147483648.0));
    return (float)(radius * sin(angle));
}
