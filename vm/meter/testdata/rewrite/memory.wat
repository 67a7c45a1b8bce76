;; What has to do with memory, and remainders.
(module
  (memory (export "memory") 1)
  (func (export "user_entrypoint") (param $n i32) (result i32)
    (drop (memory.grow (local.get $n)))
    (memory.fill (i32.const 64) (i32.const 7) (local.get $n))
    (memory.copy (i32.const 0) (i32.const 64) (local.get $n))
    (i64.store offset=8 (i32.const 0) (i64.rem_s (i64.load (i32.const 64)) (i64.const 10)))
    (i64.store offset=16 (i32.const 0) (i64.rem_u (i64.load (i32.const 64)) (i64.const 10)))
    (i32.add (i32.rem_s (local.get $n) (memory.size)) (i32.rem_u (local.get $n) (i32.const 3)))))
