;; Basic blocks: a loop, an if with and without else, a br_table, a return, code that is never reached.
(module
  (memory (export "memory") 1)
  (func (export "user_entrypoint") (param $n i32) (result i32)
    (local $sum i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $n)))
        (local.set $sum (i32.add (local.get $sum) (local.get $n)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $next)))
    (if (i32.gt_u (local.get $sum) (i32.const 1000)) (then (return (i32.const 1))))
    (if (result i32) (local.get $sum)
      (then (i32.const 2))
      (else
        (block $one
          (block $zero
            (br_table $zero $one (local.get $sum))
            (drop (i32.div_s (i32.const 1) (i32.const 0))))
          (return (i32.const 3)))
        (block (nop))
        (i32.const 0)))))
