(module
  (type (;0;) (func (param i32) (result i32)))
  (type (;1;) (func (param i64)))
  (type (;2;) (func (param i32) (result i32)))
  (type (;3;) (func))
  (import "tercet" "refill" (func (;0;) (type 1)))
  (import "tercet" "grow" (func (;1;) (type 2)))
  (func (;2;) (type 3)
    (local i32)
    global.get 1
    i32.const 0
    i32.lt_s
    if  ;; label = @1
      unreachable
    end
    global.get 2
    i32.const 2147483647
    i32.eq
    if  ;; label = @1
      global.get 1
      i32.const 4096
      i32.sub
      global.set 2
    else
      global.get 2
      global.get 1
      i32.sub
      i32.const 4096
      i32.div_u
      i32.const 1
      i32.add
      local.set 0
      global.get 2
      local.get 0
      i32.const 4096
      i32.mul
      i32.sub
      global.set 2
      global.get 0
      local.get 0
      i64.extend_i32_u
      i64.const 50000000
      i64.mul
      i64.sub
      global.set 0
      global.get 0
      i64.const 0
      i64.lt_s
      if  ;; label = @2
        global.get 0
        call 0
      end
    end
    global.get 2
    i32.const 0
    i32.lt_s
    if  ;; label = @1
      i32.const 0
      global.set 2
    end)
  (func (;3;) (type 0) (param i32) (result i32)
    (local i32 i64)
    global.get 0
    local.set 2
    block (result i32)  ;; label = @1
      local.get 2
      i64.const 2400
      i64.sub
      local.tee 2
      i64.const 0
      i64.lt_s
      if  ;; label = @2
        local.get 2
        global.set 0
        local.get 2
        call 0
        global.get 0
        local.set 2
      end
      block  ;; label = @2
        loop  ;; label = @3
          local.get 2
          i64.const 4800
          i64.sub
          local.tee 2
          i64.const 0
          i64.lt_s
          if  ;; label = @4
            local.get 2
            global.set 0
            local.get 2
            call 0
            global.get 0
            local.set 2
          end
          local.get 0
          i32.eqz
          br_if 1 (;@2;)
          local.get 2
          i64.const 6800
          i64.sub
          local.tee 2
          i64.const 0
          i64.lt_s
          if  ;; label = @4
            local.get 2
            global.set 0
            local.get 2
            call 0
            global.get 0
            local.set 2
          end
          local.get 1
          local.get 0
          i32.add
          local.set 1
          local.get 0
          i32.const 1
          i32.sub
          local.set 0
          br 0 (;@3;)
        end
      end
      local.get 2
      i64.const 5100
      i64.sub
      local.tee 2
      i64.const 0
      i64.lt_s
      if  ;; label = @2
        local.get 2
        global.set 0
        local.get 2
        call 0
        global.get 0
        local.set 2
      end
      local.get 1
      i32.const 1000
      i32.gt_u
      if  ;; label = @2
        local.get 2
        i64.const 4300
        i64.sub
        local.tee 2
        i64.const 0
        i64.lt_s
        if  ;; label = @3
          local.get 2
          global.set 0
          local.get 2
          call 0
          global.get 0
          local.set 2
        end
        i32.const 1
        br 1 (;@1;)
      end
      local.get 2
      i64.const 4300
      i64.sub
      local.tee 2
      i64.const 0
      i64.lt_s
      if  ;; label = @2
        local.get 2
        global.set 0
        local.get 2
        call 0
        global.get 0
        local.set 2
      end
      local.get 1
      if (result i32)  ;; label = @2
        local.get 2
        i64.const 300
        i64.sub
        local.tee 2
        i64.const 0
        i64.lt_s
        if  ;; label = @3
          local.get 2
          global.set 0
          local.get 2
          call 0
          global.get 0
          local.set 2
        end
        i32.const 2
      else
        block  ;; label = @3
          block  ;; label = @4
            local.get 2
            i64.const 10300
            i64.sub
            local.tee 2
            i64.const 0
            i64.lt_s
            if  ;; label = @5
              local.get 2
              global.set 0
              local.get 2
              call 0
              global.get 0
              local.set 2
            end
            local.get 1
            br_table 0 (;@4;) 1 (;@3;)
          end
          local.get 2
          i64.const 4300
          i64.sub
          local.tee 2
          i64.const 0
          i64.lt_s
          if  ;; label = @4
            local.get 2
            global.set 0
            local.get 2
            call 0
            global.get 0
            local.set 2
          end
          i32.const 3
          br 2 (;@1;)
        end
        block  ;; label = @3
        end
        local.get 2
        i64.const 300
        i64.sub
        local.tee 2
        i64.const 0
        i64.lt_s
        if  ;; label = @3
          local.get 2
          global.set 0
          local.get 2
          call 0
          global.get 0
          local.set 2
        end
        i32.const 0
      end
    end
    local.get 2
    global.set 0)
  (memory (;0;) 1 128)
  (global (;0;) (mut i64) (i64.const 0))
  (global (;1;) (mut i32) (i32.const 131072))
  (global (;2;) (mut i32) (i32.const 2147483647))
  (export "memory" (memory 0))
  (export "user_entrypoint" (func 3))
  (export "tercet_gas" (global 0))
  (export "tercet_stack" (global 1)))
