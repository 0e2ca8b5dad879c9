using System.Globalization;
using System.Runtime.InteropServices;

namespace Abuse.Core.Guest;

/// <summary>
/// <c>serve null|memory SIZE</c> or <c>serve file PATH</c>: serves one disk until a signal, or with --commands until standard input says
/// "stop" or "detach". Prints "ready ID" when the disk is there, "failed REASON: message" where it can't be.
/// </summary>
/// <remarks>
/// -q QUEUES, -d DEPTH, -b copy|user|zero, -r none|queue|reissue|fail, --block BYTES, --max-request BYTES, --id N, --recover ID,
/// --identity TEXT, --volatile, --no-scan, --slow MILLISECONDS (each bio waits as long).
/// </remarks>
internal static class ServeVerb
{
    internal static async Task<int> RunAsync(string[] arguments)
    {
        var words = new Queue<string>(arguments);
        string kind = words.Dequeue();
        string what = words.Dequeue();
        int block = 512;
        int slow = 0;
        int? recover = null;
        bool commands = false;
        var options = new UblkOptions();
        while (words.TryDequeue(out string? word))
        {
            switch (word)
            {
                case "--block": block = Number(words); break;
                case "--slow": slow = Number(words); break;
                case "--recover": recover = Number(words); break;
                case "--commands": commands = true; break;
                default: options = Parse(options, word, words); break;
            }
        }

        BlockTarget target = kind switch
        {
            "null" => new NullTarget(Bytes(what), block),
            "memory" => new MemoryTarget(Bytes(what), block),
            "file" => FileTarget.Open(what, new FileTargetOptions { BlockSize = block, Share = FileShare.ReadWrite }),
            _ => throw new ArgumentException($"{kind} is no target"),
        };
        if (slow > 0)
        {
            target = new SlowTarget(target, TimeSpan.FromMilliseconds(slow));
        }

        // Before the disk is there: who sees it may send a signal at once.
        var told = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        using PosixSignalRegistration term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => Stop(context, told));
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => Stop(context, told));
        await using AbuseDevice device = AbuseDevice.Create(target);
        try
        {
            UblkDisk disk = recover is { } id
                ? await UblkDisk.RecoverAsync(id, device, options)
                : await UblkDisk.StartAsync(device, options);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"ready {disk.Id} {disk.Plan}"));
            await ServeAsync(disk, told, commands);
            return 0;
        }
        catch (UblkException failure)
        {
            Console.WriteLine($"failed {failure.Failure}: {failure.Message}");
            return 3;
        }
    }

    private static async Task ServeAsync(UblkDisk disk, TaskCompletionSource<string> told, bool commands)
    {
        if (commands)
        {
            _ = Task.Run(async () => told.TrySetResult(await Console.In.ReadLineAsync() ?? "stop"));
        }

        if (await Task.WhenAny(told.Task, disk.Completion) == disk.Completion)
        {
            Console.WriteLine($"ended {disk.Completion.Exception?.InnerException?.Message}");
        }
        else if (await told.Task == "detach")
        {
            await disk.DetachAsync();
            return;
        }

        await disk.DisposeAsync();
    }

    private static void Stop(PosixSignalContext context, TaskCompletionSource<string> told)
    {
        context.Cancel = true;
        told.TrySetResult("stop");
    }

    private static UblkOptions Parse(UblkOptions options, string word, Queue<string> words) => word switch
    {
        "-q" => options with { Queues = Number(words) },
        "-d" => options with { QueueDepth = Number(words) },
        "-b" => options with { Buffers = Buffers(words.Dequeue()) },
        "-r" => options with { Recovery = Enum.Parse<UblkRecovery>(words.Dequeue(), ignoreCase: true) },
        "--max-request" => options with { MaxRequestSize = Number(words) },
        "--id" => options with { Id = Number(words) },
        "--identity" => options with { Identity = words.Dequeue() },
        "--volatile" => options with { AllowVolatileRecovery = true },
        "--no-scan" => options with { ScanPartitions = false },
        _ => throw new ArgumentException($"{word} is no option"),
    };

    internal static UblkBuffers Buffers(string name) => name switch
    {
        "copy" => UblkBuffers.Copy,
        "user" => UblkBuffers.UserCopy,
        "zero" => UblkBuffers.ZeroCopy,
        _ => throw new ArgumentException($"{name} is no way to pass data"),
    };

    private static int Number(Queue<string> words) => int.Parse(words.Dequeue(), CultureInfo.InvariantCulture);

    private static long Bytes(string text) => text[^1] switch
    {
        'M' => long.Parse(text[..^1], CultureInfo.InvariantCulture) << 20,
        'G' => long.Parse(text[..^1], CultureInfo.InvariantCulture) << 30,
        _ => long.Parse(text, CultureInfo.InvariantCulture),
    };
}
