;; Does one thing many times. Calldata: kind (u32), how many times (u32), a number (u32); its length for a kind that
;; passes its calldata on.
(module
  (import "vm_hooks" "read_args" (func $read_args (param i32)))
  (import "vm_hooks" "msg_reentrant" (func $msg_reentrant (result i32)))
  (import "vm_hooks" "contract_address" (func $contract_address (param i32)))
  (import "vm_hooks" "native_keccak256" (func $keccak (param i32 i32 i32)))
  (import "vm_hooks" "storage_load_bytes32" (func $load (param i32 i32)))
  (import "vm_hooks" "storage_cache_bytes32" (func $cache (param i32 i32)))
  (import "vm_hooks" "storage_flush_cache" (func $flush (param i32)))
  (import "vm_hooks" "math_mul_mod" (func $mul_mod (param i32 i32 i32)))
  (import "vm_hooks" "math_pow" (func $pow (param i32 i32)))
  (import "vm_hooks" "emit_log" (func $emit_log (param i32 i32 i32)))
  (import "vm_hooks" "call_contract" (func $call (param i32 i32 i32 i32 i64 i32) (result i32)))
  (import "vm_hooks" "write_result" (func $result (param i32 i32)))
  (import "vm_hooks" "read_return_data" (func $read_return (param i32 i32 i32) (result i32)))
  (import "vm_hooks" "transient_store_bytes32" (func $transient (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "user_entrypoint") (param $len i32) (result i32)
    (local $kind i32) (local $n i32) (local $arg i32) (local $x i64)
    (call $read_args (i32.const 0))
    (local.set $kind (i32.load (i32.const 0)))
    (local.set $n (i32.load (i32.const 4)))
    (local.set $arg (i32.load (i32.const 8)))
    (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
    (call $contract_address (i32.const 64))
    (loop $again
      (block $done
      (block $14 (block $13 (block $12 (block $11 (block $10 (block $9 (block $8 (block $7 (block $6 (block $5 (block $4 (block $3 (block $2 (block $1 (block $0
        (br_table $0 $1 $2 $3 $4 $5 $6 $7 $8 $9 $10 $11 $12 $13 $14 (local.get $kind)))
      ;; 0: a little arithmetic
      (local.set $x (i64.add (i64.mul (local.get $x) (i64.const 6364136223846793005)) (i64.const 1442695040888963407))) (br $done))
      ;; 1: the cheapest host function
      (drop (call $msg_reentrant)) (br $done))
      ;; 2: 20 bytes from the host
      (call $contract_address (i32.const 64)) (br $done))
      ;; 3: a hash of arg bytes
      (call $keccak (i32.const 1024) (local.get $arg) (i32.const 128)) (br $done))
      ;; 4: a slot that is in the cache after the first time
      (call $load (i32.const 256) (i32.const 288)) (br $done))
      ;; 5: another slot each time
      (i32.store (i32.const 256) (local.get $n)) (call $load (i32.const 256) (i32.const 288)) (br $done))
      ;; 6: another slot each time, only written to the cache
      (i32.store (i32.const 256) (local.get $n)) (call $cache (i32.const 256) (i32.const 256)) (br $done))
      ;; 7: one slot, written back each time
      (i32.store (i32.const 288) (local.get $n)) (call $cache (i32.const 256) (i32.const 288)) (call $flush (i32.const 0)) (br $done))
      ;; 8: the most expensive multiplication
      (i64.store (i32.const 256) (i64.const -1)) (i64.store (i32.const 264) (i64.const -1)) (i64.store (i32.const 272) (i64.const -1)) (i64.store (i32.const 280) (i64.const -1))
      (call $mul_mod (i32.const 256) (i32.const 256) (i32.const 257)) (br $done))
      ;; 9: the most expensive power
      (i64.store (i32.const 256) (i64.const -1)) (i64.store (i32.const 264) (i64.const -1)) (i64.store (i32.const 272) (i64.const -1)) (i64.store (i32.const 280) (i64.const -1))
      (call $pow (i32.const 256) (i32.const 256)) (br $done))
      ;; 10: a log of arg bytes
      (call $emit_log (i32.const 1024) (local.get $arg) (i32.const 0)) (br $done))
      ;; 11: a call of this contract that does nothing
      (i32.store (i32.const 512) (i32.const 0)) (i32.store (i32.const 516) (i32.const 0)) (i32.store (i32.const 520) (i32.const 0))
      (drop (call $call (i32.const 64) (i32.const 512) (i32.const 12) (i32.const 1024) (i64.const -1) (i32.const 600))) (br $done))
      ;; 12: a call of this contract that does the same, as deep as it goes
      (drop (call $call (i32.const 64) (i32.const 0) (local.get $len) (i32.const 1024) (i64.const -1) (i32.const 600))) (br $done))
      ;; 13: a result of arg bytes
      (call $result (i32.const 1024) (local.get $arg)) (br $done))
      ;; 14: transient storage
      (i32.store (i32.const 256) (local.get $n)) (call $transient (i32.const 256) (i32.const 256)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i64.store (i32.const 0) (local.get $x))
    (i32.wrap_i64 (i64.and (local.get $x) (i64.const 0)))))
