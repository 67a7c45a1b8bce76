// Programs for comparing metered code with the code as it was. Built into programs.wasm with
//   clang-14 --target=wasm32 -O2 -mcpu=mvp -nostdlib -fno-builtin -Wl,--no-entry -Wl,--strip-all
//     -Wl,-z,stack-size=16384 -Wl,--stack-first -Wl,--export=user_entrypoint -o programs.wasm programs.c
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

static u32 seed;
static u32 next(void) { return seed = seed * 1664525u + 1013904223u; }

__attribute__((noinline)) static u32 fib(u32 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

static u8 composite[100000];
static u32 sieve(void) {
  u32 count = 0;
  for (u32 i = 0; i < sizeof composite; i++) composite[i] = 0;
  for (u32 i = 2; i < sizeof composite; i++) {
    if (composite[i]) continue;
    count++;
    for (u32 j = i + i; j < sizeof composite; j += i) composite[j] = 1;
  }
  return count;
}

static u32 numbers[20000];
__attribute__((noinline)) static void quicksort(int lo, int hi) {
  while (lo < hi) {
    u32 pivot = numbers[(lo + hi) / 2];
    int i = lo, j = hi;
    while (i <= j) {
      while (numbers[i] < pivot) i++;
      while (numbers[j] > pivot) j--;
      if (i <= j) {
        u32 t = numbers[i];
        numbers[i++] = numbers[j];
        numbers[j--] = t;
      }
    }
    quicksort(lo, j);
    lo = i;
  }
}
static u32 sort(void) {
  for (u32 i = 0; i < 20000; i++) numbers[i] = next();
  quicksort(0, 19999);
  return numbers[10000];
}

static u64 rotl(u64 x, int n) { return n ? x << n | x >> (64 - n) : x; }
static u64 keccak(void) {
  static const int rot[25] = {0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14};
  u64 a[25] = {1}, b[25], c[5];
  for (int n = 0; n < 200; n++)
    for (int round = 0; round < 24; round++) {
      for (int x = 0; x < 5; x++) c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
      for (int x = 0; x < 5; x++)
        for (int y = 0; y < 25; y += 5) a[x + y] ^= c[(x + 4) % 5] ^ rotl(c[(x + 1) % 5], 1);
      for (int x = 0; x < 5; x++)
        for (int y = 0; y < 5; y++) b[y + 5 * ((2 * x + 3 * y) % 5)] = rotl(a[x + 5 * y], rot[x + 5 * y]);
      for (int y = 0; y < 25; y += 5)
        for (int x = 0; x < 5; x++) a[y + x] = b[y + x] ^ (~b[y + (x + 1) % 5] & b[y + (x + 2) % 5]);
      a[0] ^= (u64)round * 0x8000000080008081ull;
    }
  return a[0];
}

static u64 m1[60][60], m2[60][60], m3[60][60];
static u64 matrix(void) {
  for (int i = 0; i < 60; i++)
    for (int j = 0; j < 60; j++) m1[i][j] = next(), m2[i][j] = next();
  for (int i = 0; i < 60; i++)
    for (int j = 0; j < 60; j++) {
      u64 sum = 0;
      for (int k = 0; k < 60; k++) sum += m1[i][k] * m2[k][j];
      m3[i][j] = sum;
    }
  return m3[7][9];
}

static u32 crc(void) {
  u32 c = ~0u;
  for (u32 i = 0; i < 20000; i++) {
    c ^= (u8)next();
    for (int k = 0; k < 8; k++) c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
  }
  return c;
}

static u32 queens(u32 all, u32 cols, u32 left, u32 right) {
  if (cols == all) return 1;
  u32 count = 0;
  for (u32 free = all & ~(cols | left | right); free; free &= free - 1) {
    u32 bit = free & -free;
    count += queens(all, cols | bit, (left | bit) << 1, (right | bit) >> 1);
  }
  return count;
}

// A 256-bit multiplication and reduction as contracts do them.
static u64 wide(void) {
  u32 a[8], b[8], r[16];
  for (int i = 0; i < 8; i++) a[i] = next(), b[i] = next();
  for (int n = 0; n < 2000; n++) {
    for (int i = 0; i < 16; i++) r[i] = 0;
    for (int i = 0; i < 8; i++) {
      u64 carry = 0;
      for (int j = 0; j < 8; j++) {
        carry += (u64)a[i] * b[j] + r[i + j];
        r[i + j] = (u32)carry;
        carry >>= 32;
      }
      r[i + 8] = (u32)carry;
    }
    for (int i = 0; i < 8; i++) a[i] = r[i] ^ r[i + 8];
  }
  return a[0];
}

// A small interpreter: a switch in a loop.
static u32 machine(void) {
  static u8 program[256];
  u32 acc = 1, x = 7, pc = 0;
  for (int i = 0; i < 256; i++) program[i] = next() >> 24;
  for (int i = 0; i < 100000; i++) {
    u8 op = program[pc & 255];
    pc++;
    switch (op & 15) {
      case 0: acc += x; break;
      case 1: acc ^= x; break;
      case 2: x = acc >> 3; break;
      case 3: acc *= 3; break;
      case 4: x += op; break;
      case 5: acc = acc << 5 | acc >> 27; break;
      case 6: if (acc & 1) pc += op >> 4; break;
      case 7: program[x & 255] ^= 1; break;
      case 8: x = ~x; break;
      case 9: acc -= op; break;
      case 10: acc /= (op | 1); break;
      case 11: x %= (op | 1); break;
      case 12: acc |= 1; break;
      case 13: x <<= 1; break;
      case 14: acc ^= pc; break;
      default: x ^= acc; break;
    }
  }
  return acc;
}

int user_entrypoint(int which) {
  seed = 42;
  switch (which) {
    case 0: return fib(22);
    case 1: return sieve();
    case 2: return sort();
    case 3: return keccak();
    case 4: return matrix();
    case 5: return crc();
    case 6: return queens(255, 0, 0, 0);
    case 7: return wide();
    default: return machine();
  }
}
