;; Begins without a page of memory, grows by one, and by one more than a transaction has.
(module
  (import "vm_hooks" "write_result" (func $result (param i32 i32)))
  (memory (export "memory") 0)
  (func (export "user_entrypoint") (param i32) (result i32)
    (local $a i32) (local $b i32)
    (call $result (i32.const 0) (i32.const 0)) ;; nothing, at the end of nothing
    (local.set $a (memory.grow (i32.const 1)))
    (local.set $b (memory.grow (i32.const 128)))
    (i32.store (i32.const 0) (local.get $a))
    (i32.store (i32.const 4) (local.get $b))
    (i32.store (i32.const 8) (memory.size))
    (call $result (i32.const 0) (i32.const 12))
    (i32.const 0)))
