#:project ../Abuse.Core/Abuse.Core.csproj

// A disk in memory, eight submitters that write and verify 256 MiB on it, and then everything that can happen to a block device:
// a bad sector, a failed device, a hung server, a server that vanishes, a reset. Each step checks what it says.
//
//     dotnet run samples/first-disk.cs        (exit code 1 and a last line that says why, if something did not hold)
using System.Diagnostics;
using System.Runtime.InteropServices;
using Abuse.Core;
using Abuse.Core.Abi;

const long DiskSize = 256 << 20;
const int Sector = 512;

var clock = Stopwatch.StartNew();
try
{
    // The store. A target is what holds the bytes; the device is what submitters talk to.
    await using var memory = new MemoryTarget(DiskSize);

    // A configured device with nobody behind it yet: up to 128 bios may be pending.
    await using AbuseDevice device = AbuseDevice.Create(memory.Geometry, new AbuseDeviceOptions { MaxQueue = 128 });
    var disk = new BlockClient(device);
    Console.WriteLine(device);

    // While a target is attached, bios run inline in it, on the submitter's own thread and memory.
    using (device.Attach(memory))
    {
        await WriteAndVerifyAsync(disk, submitters: 8);
    }

    // From here on the same store is served through channels, so that servers can misbehave.
    await MediaFailureAsync(device, disk, memory);
    await DeviceFailureAsync(device, disk, memory);
    await HungServerAsync(device, disk, memory);
    await VanishedServerAsync(device, disk, memory);
    await ResetAsync(device, disk, memory);

    Console.WriteLine($"all steps held, {clock.Elapsed.TotalSeconds:0.0} s");
    return 0;
}
catch (Exception failure)
{
    Console.Error.WriteLine($"FAILED: {failure.Message}");
    return 1;
}

// The main job. Both passes cut the disk into ranges of 512 B to 4 MiB, each pass differently, and shuffle them: no write is aligned to
// another, and each range that is verified was written by several submitters.
async Task WriteAndVerifyAsync(BlockClient disk, int submitters)
{
    var watch = Stopwatch.StartNew();
    (long Offset, int Length)[] writes = Cut(disk.Size, seed: 1);
    (long Offset, int Length)[] reads = Cut(disk.Size, seed: 2);
    long moved = 0;
    int progressed = 0;

    await PassAsync("writing", writes, async (offset, buffer) =>
    {
        Fill(buffer.Span, offset);
        await disk.WriteAsync(offset, buffer);
    });
    await disk.FlushAsync();
    await PassAsync("verifying", reads, async (offset, buffer) =>
    {
        await disk.ReadAsync(offset, buffer);
        Require(IsFilled(buffer.Span, offset), $"{buffer.Length} bytes at {offset} are not what was written.");
    });

    Require(moved == 2 * disk.Size, $"{moved} bytes were moved, not {2 * disk.Size}.");
    Report("main job", $"{submitters} submitters, {writes.Length} writes, {reads.Length} reads, "
        + $"{moved >> 20} MiB moved at {moved / watch.Elapsed.TotalSeconds / (1 << 20):0} MiB/s");

    // Each submitter takes the next range until none is left.
    async Task PassAsync(string what, (long Offset, int Length)[] ranges, Func<long, Memory<byte>, ValueTask> work)
    {
        int next = -1;
        async Task SubmitAsync()
        {
            byte[] buffer = new byte[ranges.Max(range => range.Length)];
            for (int i; (i = Interlocked.Increment(ref next)) < ranges.Length;)
            {
                await work(ranges[i].Offset, buffer.AsMemory(0, ranges[i].Length));
                Interlocked.Add(ref moved, ranges[i].Length);
            }
        }

        Task all = Task.WhenAll(Enumerable.Range(0, submitters).Select(_ => Task.Run(SubmitAsync)));
        do
        {
            await Task.WhenAny(all, Task.Delay(50));
            Progress(what, moved, 2 * disk.Size, ref progressed);
        }
        while (!all.IsCompleted);
        await all;
    }
}

// A bad sector: the server answers one bio with MediaFailure. That bio fails, the others do not notice.
async Task MediaFailureAsync(AbuseDevice device, BlockClient disk, MemoryTarget memory)
{
    const long BadOffset = 3 * Sector;
    using BioChannel channel = device.Control.OpenChannel();
    Task server = ServeAsync(channel, request =>
        request.Offset == BadOffset ? BioResult.MediaFailure : Execute(memory, request));

    BioResult[] results = await Task.WhenAll(WriteSectors(disk, count: 8, value: 0x11));
    Require(results.Count(result => result == BioResult.Ok) == 7, "Seven of eight writes should have succeeded.");
    Require(results[3] == BioResult.MediaFailure, $"The write to the bad sector ended with {results[3]}.");

    // Without Try a failure is an exception that carries the result, the errno and the range.
    try
    {
        await disk.ReadAsync(BadOffset, new byte[Sector]);
        Require(false, "A read of the bad sector succeeded.");
    }
    catch (BlockIOException failure)
    {
        Require(failure.Result == BioResult.MediaFailure && failure.Errno == Errno.EIO, failure.Message);
    }

    channel.Dispose();
    await server;
    Report("media failure", $"1 of 8 writes failed, 7 stored, {device.Errors} errors counted");
}

// A server declares the whole device failed: everything pending fails at once, fetched or not. The device goes on.
async Task DeviceFailureAsync(AbuseDevice device, BlockClient disk, MemoryTarget memory)
{
    using BioChannel channel = device.Control.OpenChannel();
    Task<BioResult>[] writes = WriteSectors(disk, count: 8, value: 0x22);
    int pending = device.QueueSize;
    Require(pending == 8, $"{pending} bios are pending, not 8.");
    BioRequest request = await channel.Reader.ReadAsync();
    Require(request.Complete(BioResult.DeviceFailure) == AnswerResult.Accepted, "The answer was refused.");
    BioResult[] results = await Task.WhenAll(writes);
    Require(results.All(result => result == BioResult.DeviceFailure), $"Results: {string.Join(", ", results)}.");
    Require(device.QueueSize == 0, $"{device.QueueSize} bios are still pending.");

    using BioServer server = device.Control.Serve(memory);
    await RequireSectorAsync(disk, sector: 0, value: 0x11);
    Report("device failure", $"{pending} pending bios failed by one answer, then served again");
}

// A server fetches a read and hangs. Another one, opened later, sees the same bio and answers it. The late answer changes nothing.
async Task HungServerAsync(AbuseDevice device, BlockClient disk, MemoryTarget memory)
{
    using BioChannel hung = device.Control.OpenChannel();
    byte[] buffer = new byte[Sector];
    Task read = disk.ReadAsync(0, buffer).AsTask();
    BioRequest held = await hung.Reader.ReadAsync();
    Require(device.QueueSize == 1 && !read.IsCompleted, "The read should be pending.");

    using BioServer other = device.Control.Serve(memory);
    await read;

    // The hung server wakes. Its memory is its own, so it can scribble on it; its answer is refused.
    held.Data.Span.Fill(0xEE);
    AnswerResult late = held.Complete(BioResult.Ok);
    Require(late == AnswerResult.Overtaken, $"The late answer was {late}.");
    Require(!buffer.AsSpan().ContainsAnyExcept((byte)0x11), "The submitter's buffer is not what the other server gave.");
    Report("hung server", $"overtaken by another, its late answer: {late}");
}

// A server answers some of what it fetched and vanishes. The rest was pending all the time: a successor gets it.
async Task VanishedServerAsync(AbuseDevice device, BlockClient disk, MemoryTarget memory)
{
    Task<BioResult>[] writes = WriteSectors(disk, count: 16, value: 0x33);
    int answered = 0;
    using (BioChannel vanishing = device.Control.OpenChannel())
    {
        for (int fetched = 0; fetched < 10; fetched++)
        {
            BioRequest request = await vanishing.Reader.ReadAsync();
            if (fetched < 4)
            {
                Require(request.Complete(Execute(memory, request)) == AnswerResult.Accepted, "An answer was refused.");
                answered++;
            }
        }
    }

    int left = device.QueueSize;
    Require(left == 12, $"{left} bios are pending, not 12.");
    using BioServer successor = device.Control.Serve(memory);
    BioResult[] results = await Task.WhenAll(writes);
    Require(results.All(result => result == BioResult.Ok), $"Results: {string.Join(", ", results)}.");
    for (int sector = 0; sector < 16; sector++)
    {
        await RequireSectorAsync(disk, sector, value: 0x33);
    }

    Report("vanished server", $"{answered} writes answered, {left} left behind and taken over, {results.Length} read back");
}

// RESET: what is pending fails, channels end, the configuration is gone. SET_STATUS starts a new life.
async Task ResetAsync(AbuseDevice device, BlockClient disk, MemoryTarget memory)
{
    BioChannel channel = device.Control.OpenChannel();
    Task<BioResult>[] writes = WriteSectors(disk, count: 5, value: 0x44);
    Require(device.Control.Reset() == Errno.None, "RESET failed.");
    BioResult[] results = await Task.WhenAll(writes);
    Require(results.All(result => result == BioResult.Offline), $"Results: {string.Join(", ", results)}.");
    await channel.Reader.Completion;
    Require(!device.IsConfigured, "The device is still configured.");
    Require(await disk.TryWriteAsync(0, new byte[Sector]) == BioResult.Offline, "A write was taken between two lives.");

    var info = new AbuseInfo { Size = (ulong)DiskSize, BlockSize = 4096, MaxQueue = 16 };
    Require(device.Control.SetStatus(info) == Errno.None, "SET_STATUS failed.");
    using BioServer server = device.Control.Serve(memory, concurrency: 2);
    byte[] written = new byte[4096], read = new byte[4096];
    Fill(written, 4096);
    await disk.WriteAsync(4096, written);
    await disk.ReadAsync(4096, read);
    Require(read.AsSpan().SequenceEqual(written), "The new life reads back something else.");
    Report("reset", $"{results.Length} pending bios failed, channel ended; new life: {device}");
}

// The loop of a server that answers everything it is given, until its channel ends.
static async Task ServeAsync(BioChannel channel, Func<BioRequest, BioResult> answer)
{
    await foreach (BioRequest request in channel.Reader.ReadAllAsync())
    {
        request.Complete(answer(request));
    }
}

static BioResult Execute(BlockTarget target, BioRequest request) => target.Execute(request.Head, new BioSpans(request.Data.Span));

static Task<BioResult>[] WriteSectors(BlockClient disk, int count, byte value) => [.. Enumerable.Range(0, count)
    .Select(sector => disk.TryWriteAsync(sector * Sector, Enumerable.Repeat(value, Sector).ToArray()).AsTask())];

static async Task RequireSectorAsync(BlockClient disk, int sector, byte value)
{
    byte[] buffer = new byte[Sector];
    await disk.ReadAsync(sector * Sector, buffer);
    Require(!buffer.AsSpan().ContainsAnyExcept(value), $"Sector {sector} does not hold {value:x2}.");
}

// Ranges that cover the disk, 512 B to 4 MiB, small ones as likely as large ones, in random order.
static (long Offset, int Length)[] Cut(long size, int seed)
{
    var random = new Random(seed);
    var ranges = new List<(long, int)>();
    for (long at = 0; at < size;)
    {
        int sectors = random.Next(1, (1 << random.Next(1, 14)) + 1);
        int length = (int)Math.Min((long)sectors * Sector, size - at);
        ranges.Add((at, length));
        at += length;
    }

    random.Shuffle(CollectionsMarshal.AsSpan(ranges));
    return [.. ranges];
}

// Every 8 bytes of the disk have a value of their own, so that bytes in the wrong place are noticed too.
static ulong ValueAt(long offset) => ((ulong)offset + 1) * 0x9E3779B97F4A7C15;

static void Fill(Span<byte> bytes, long offset)
{
    foreach (ref ulong word in MemoryMarshal.Cast<byte, ulong>(bytes))
    {
        word = ValueAt(offset);
        offset += sizeof(ulong);
    }
}

static bool IsFilled(ReadOnlySpan<byte> bytes, long offset)
{
    ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(bytes);
    int at = 0;
    while (at < words.Length && words[at] == ValueAt(offset + (at * sizeof(ulong))))
    {
        at++;
    }

    return at == words.Length;
}

// One line that is rewritten on a terminal; a line for each quarter where the output goes to a file.
static void Progress(string what, long done, long total, ref int shown)
{
    int percent = (int)(done * 100 / total);
    if (!Console.IsOutputRedirected)
    {
        Console.Write($"\r{what,-10} {percent,3} %{(percent == 100 ? "\r" : "")}");
    }
    else if (percent / 25 > shown / 25)
    {
        Console.WriteLine($"{what,-10} {percent,3} %");
    }

    shown = percent;
}

static void Report(string step, string counters) => Console.WriteLine($"{step,-16} {counters}  ok");

static void Require(bool holds, string otherwise) => _ = holds ? true : throw new InvalidOperationException(otherwise);
