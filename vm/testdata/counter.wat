;; Adds one to slot 0 and returns it.
(module
  (import "vm_hooks" "storage_load_bytes32" (func $load (param i32 i32)))
  (import "vm_hooks" "storage_cache_bytes32" (func $cache (param i32 i32)))
  (import "vm_hooks" "storage_flush_cache" (func $flush (param i32)))
  (import "vm_hooks" "write_result" (func $result (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "user_entrypoint") (param i32) (result i32)
    (local $n i32)
    (call $load (i32.const 0) (i32.const 32))
    (local.set $n (i32.const 63))
    (loop $carry ;; big-endian
      (i32.store8 (local.get $n) (i32.add (i32.load8_u (local.get $n)) (i32.const 1)))
      (if (i32.eqz (i32.load8_u (local.get $n)))
        (then (local.set $n (i32.sub (local.get $n) (i32.const 1))) (br_if $carry (i32.ge_u (local.get $n) (i32.const 32))))))
    (call $cache (i32.const 0) (i32.const 32))
    (call $flush (i32.const 0))
    (call $result (i32.const 32) (i32.const 32))
    (i32.const 0)))
