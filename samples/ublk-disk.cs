#:project ../Abuse.Core/Abuse.Core.csproj

// An abuse device as a block device of this Linux, /dev/ublkbN: made, served, listed, removed, recovered. Run it as root; Help says how.
//
//     dotnet run samples/ublk-disk.cs -- add memory 64M
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Abuse.Core;

const string Help = """
    usage: dotnet run samples/ublk-disk.cs -- VERB ... [OPTION ...]

      add null SIZE               a disk that reads as zeroes and forgets what is written
      add memory SIZE             a disk in memory
      add file PATH [SIZE]        a disk in a file, which is made if it is not there
      recover ID file PATH        takes over a disk whose server has ended; also with null or memory and a SIZE
      list                        the disks of this machine, and whose they are
      del ID                      stops and removes a disk, whoever serves it
      features                    what this kernel's driver can do
      help

      -n, --id N                  /dev/ublkbN; without it the kernel chooses
      -q N                        queues, each with a thread of its own (1)
      -d N                        requests that a queue may have under way (128)
      -b N                        logical block in bytes, 512 to 4096 (512)
      -r                          read-only
      --user-copy, --zero-copy    how data passes; without them the kernel copies
      --recover[=queue|reissue|fail]
                                  the disk outlives a killed server: new requests wait and the server's fail (queue),
                                  are done again (reissue, meant where nothing is said), or all fail (fail)
      --no-partitions             the kernel does not look for a partition table
      --io-flusher                for memory pressure: the program starts again as an I/O flusher, with all its memory locked
      --foreground                accepted and needless: add and recover always serve in the foreground until Ctrl-C or SIGTERM.
                                  A .NET process can't fork into the background: use systemd-run, nohup or "&".
    """;

var arguments = new Queue<string>(args);
var given = new Dictionary<string, string>();
try
{
    if (args.Contains("--io-flusher"))
    {
        UblkProcess.BecomeIOFlusher(); // The first call: the process is started again here, and comes back.
    }

    string[] words = [.. Parse()];
    return words switch
    {
        [] => await WelcomeAsync(),
        ["help"] => Say(Help),
        ["features"] => Say(await DescribeAsync()),
        ["list"] => await ListAsync(),
        ["del", string id] => await DeleteAsync(Number(id, "an id")),
        ["add", .. string[] what] => await ServeAsync(null, what),
        ["recover", string id, .. string[] what] => await ServeAsync(Number(id, "an id"), what),
        _ => throw new FormatException($"\"{string.Join(' ', words)}\" is nothing that this program does: help lists what is."),
    };
}
catch (FormatException wrong)
{
    Console.Error.WriteLine(wrong.Message);
    return 2;
}
catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or ArgumentException or PlatformNotSupportedException)
{
    Console.Error.WriteLine(failure.Message);
    return 1;
}

static int Say(string text)
{
    Console.WriteLine(text);
    return 0;
}

static async Task<string> DescribeAsync() =>
    $"Linux {File.ReadAllText("/proc/sys/kernel/osrelease").Trim()}, ublk: {await UblkControl.GetFeaturesAsync()}";

// Without arguments: what there is to say, and whether this machine could.
static async Task<int> WelcomeAsync()
{
    Console.WriteLine(Help);
    Console.WriteLine();
    try
    {
        Console.WriteLine($"This machine can. {await DescribeAsync()}");
    }
    catch (Exception failure) when (failure is UblkException or PlatformNotSupportedException)
    {
        Console.WriteLine($"Not on this machine as it is. {failure.Message}");
    }

    return 0;
}

static async Task<int> ListAsync()
{
    _ = await UblkControl.GetFeaturesAsync(); // Says so if there is no driver, where an empty list would not.
    IReadOnlyList<UblkDeviceInfo> disks = await UblkControl.ListAsync();
    return Say(disks.Count == 0 ? "There are no ublk disks." : string.Join('\n', disks));
}

static async Task<int> DeleteAsync(int id)
{
    await UblkControl.DeleteAsync(id);
    return Say($"/dev/ublkb{id} is gone.");
}

// Makes or takes over a disk, and serves it until it is stopped or lost.
async Task<int> ServeAsync(int? recovered, string[] what)
{
    await using BlockTarget target = Target(what, recovered is not null);
    BlockGeometry geometry = target.Geometry with { IsReadOnly = target.Geometry.IsReadOnly || given.ContainsKey("-r") };
    UblkOptions options = Options();
    int requests = Math.Clamp(options.Queues * options.QueueDepth, 1, 512);
    await using AbuseDevice device = AbuseDevice.Create(geometry, new AbuseDeviceOptions { MaxQueue = requests });
    using BioAttachment attachment = device.Attach(target);

    // Signals from here on, so that none hits a disk half made.
    using var stop = new SemaphoreSlim(0);
    using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
    using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);

    await using UblkDisk disk = recovered is { } id
        ? await UblkDisk.RecoverAsync(id, device, options)
        : await UblkDisk.StartAsync(device, options);
    Console.WriteLine($"{disk.Path}: {disk.Plan}");
    foreach (string note in disk.Plan.Notes)
    {
        Console.WriteLine($"note: {note}");
    }

    if (recovered is null)
    {
        Console.WriteLine(geometry.IsReadOnly ? $"next: mount -o ro {disk.Path} /mnt" : $"next: mkfs.ext4 {disk.Path} && mount {disk.Path} /mnt");
    }

    Console.WriteLine("Ctrl-C stops it.");
    return await FollowAsync(disk, device, stop) ? 0 : 1;

    void OnSignal(PosixSignalContext context)
    {
        context.Cancel = true;
        stop.Release();
    }
}

// Prints what goes on, until the disk is stopped (true) or has ended by itself (false).
static async Task<bool> FollowAsync(UblkDisk disk, AbuseDevice device, SemaphoreSlim stop)
{
    bool live = !Console.IsOutputRedirected;
    TimeSpan every = TimeSpan.FromSeconds(live ? 1 : 5);
    UblkStatistics last = disk.GetStatistics();
    long since = Stopwatch.GetTimestamp();
    while (!disk.Completion.IsCompleted)
    {
        if (await stop.WaitAsync(every))
        {
            return await StopAsync(disk, stop);
        }

        UblkStatistics now = disk.GetStatistics();
        double seconds = Stopwatch.GetElapsedTime(since).TotalSeconds;
        since = Stopwatch.GetTimestamp();
        double megabytes = (now.BytesRead + now.BytesWritten - last.BytesRead - last.BytesWritten) / seconds / 1e6;
        string line = string.Create(CultureInfo.InvariantCulture,
            $"{disk.Path} {(now.Requests - last.Requests) / seconds,9:N0} IOPS {megabytes,9:N1} MB/s {now.InFlight,4} in flight {now.Errors,4} errors {device.QueueSize,4}/{device.MaxQueue} queued");
        if (live)
        {
            Console.Write($"\r{line} ");
        }
        else if (now.Requests != last.Requests)
        {
            Console.WriteLine(line); // A log needs no line for each moment in which nothing happened.
        }

        last = now;
    }

    Console.Error.WriteLine($"\n{disk.Completion.Exception?.InnerException?.Message ?? $"{disk.Path} has ended."}");
    return false;
}

// Stops it when nobody has it open; says who has, and waits for that or for a second signal.
static async Task<bool> StopAsync(UblkDisk disk, SemaphoreSlim stop)
{
    Console.WriteLine();
    string told = "";
    while (!await disk.TryStopAsync())
    {
        IReadOnlyList<string> holders = disk.FindHolders();
        string who = holders.Count == 0 ? "somebody whom this process can't see (another mount namespace?)" : string.Join(", ", holders);
        if (who != told && (holders.Count != 0 || told.Length == 0))
        {
            Console.WriteLine($"{disk.Path} is in use: {who}. Unmount or close it, and it stops by itself; a second signal stops it at once, with errors for them.");
            told = who;
        }

        if (await stop.WaitAsync(TimeSpan.FromMilliseconds(500)))
        {
            await disk.DisposeAsync();
            break;
        }
    }

    Console.WriteLine($"{disk.Path} is gone: {disk.GetStatistics()}.");
    return true;
}

BlockTarget Target(string[] what, bool mustExist)
{
    int blockSize = given.TryGetValue("-b", out string? block) ? Number(block, "a block size") : BlockGeometry.SectorSize;
    var file = new FileTargetOptions { BlockSize = blockSize, Access = given.ContainsKey("-r") ? FileTargetAccess.ReadOnly : FileTargetAccess.Auto };
    return what switch
    {
        ["null", string size] => new NullTarget(Size(size), blockSize),
        ["memory", string size] => new MemoryTarget(Size(size), blockSize, preallocate: given.ContainsKey("--io-flusher")),
        ["file", string path, string size] when !File.Exists(path) && !mustExist => FileTarget.Create(path, Size(size), file with { Access = FileTargetAccess.Auto }),
        ["file", string path, ..] when what.Length <= 3 => FileTarget.Open(path, file),
        _ => throw new FormatException("A disk is: null SIZE, memory SIZE, or file PATH [SIZE]."),
    };
}

UblkOptions Options() => new()
{
    Id = given.TryGetValue("-n", out string? id) ? Number(id, "an id") : null,
    Queues = given.TryGetValue("-q", out string? queues) ? Number(queues, "a number of queues") : 1,
    QueueDepth = given.TryGetValue("-d", out string? depth) ? Number(depth, "a depth") : 128,
    Buffers = given.ContainsKey("--zero-copy") ? UblkBuffers.ZeroCopy : given.ContainsKey("--user-copy") ? UblkBuffers.UserCopy : UblkBuffers.Copy,
    ScanPartitions = !given.ContainsKey("--no-partitions"),
    Recovery = given.GetValueOrDefault("--recover") switch
    {
        null => UblkRecovery.None,
        "queue" => UblkRecovery.Queue,
        "" or "reissue" => UblkRecovery.Reissue,
        "fail" => UblkRecovery.Fail,
        string other => throw new FormatException($"--recover is queue, reissue or fail, not {other}."),
    },
};

// Takes the options out and leaves the words.
List<string> Parse()
{
    var words = new List<string>();
    while (arguments.TryDequeue(out string? word))
    {
        string[] parts = word.Split('=', 2);
        switch (parts[0])
        {
            case "-n" or "--id" or "-q" or "-d" or "-b":
                given[parts[0] == "--id" ? "-n" : parts[0]] = parts.Length == 2 ? parts[1]
                    : arguments.TryDequeue(out string? value) ? value : throw new FormatException($"{word} needs a number.");
                break;
            case "--recover":
                given[parts[0]] = parts.Length == 2 ? parts[1] : "";
                break;
            case "-r" or "--user-copy" or "--zero-copy" or "--no-partitions" or "--io-flusher" or "--foreground":
                given[word] = "";
                break;
            case "-h" or "--help":
                return ["help"];
            default:
                words.Add(word.StartsWith('-') ? throw new FormatException($"There is no option {word}: help lists those that there are.") : word);
                break;
        }
    }

    return words;
}

static int Number(string text, string what) =>
    int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : throw new FormatException($"\"{text}\" is not {what}.");

// 65536, 64K, 64M, 1G, 1T: powers of two.
static long Size(string text)
{
    int shift = text.Length == 0 ? 0 : "KMGT".IndexOf(char.ToUpperInvariant(text[^1])) * 10 + 10;
    bool known = long.TryParse(shift == 0 ? text : text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out long number);
    return known && number <= long.MaxValue >> shift ? number << shift : throw new FormatException($"\"{text}\" is not a size: 65536, 64K, 64M, 1G.");
}
