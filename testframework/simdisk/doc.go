// Package simdisk makes disks fail on purpose.
//
// [Files] is a file system in memory for the consensus WAL; [LevelDB] puts faults between goleveldb
// and its files. Both know what was synced, so that a power failure can take the rest away, and both
// count the operations that change something, so that a test can crash at each of them.
//
// Source: the crash states of Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014), and
// Rebello et al., "Can Applications Recover from fsync Failures?" (ATC 2020).
package simdisk
