namespace Abuse.Core;

/// <content>A disk that another server left, checked before it is touched.</content>
public sealed partial record UblkPlan
{
    /// <summary>Features of disks that this library does not serve.</summary>
    private const UblkFeatures Foreign = UblkFeatures.NeedGetData | UblkFeatures.UnprivilegedDev | UblkFeatures.Zoned
        | UblkFeatures.BatchIo | UblkFeatures.Integrity | UblkFeatures.ShmemZc;

    private const UblkFeatures BufferMask = ZeroCopyFlags;

    /// <summary>
    /// Plans to take over a disk as it is: its shape is the kernel's to tell, and must fit what would be served. Options that say otherwise
    /// get a note.
    /// </summary>
    /// <param name="info">What GET_DEV_INFO says.</param>
    /// <param name="parameters">What GET_PARAMS says.</param>
    /// <param name="geometry">What would be served.</param>
    /// <param name="options">What is asked for.</param>
    /// <param name="host">The machine.</param>
    /// <param name="serverLives">Whether the process that <paramref name="info"/> names is there.</param>
    /// <exception cref="ArgumentException">An option is outside its range.</exception>
    /// <exception cref="UblkException">The disk can't be taken over, or would be another disk afterwards.</exception>
    internal static UblkPlan Recover(
        in UblkDevInfo info, in UblkParams parameters, BlockGeometry geometry, UblkOptions options, UblkHost host, bool serverLives)
    {
        ArgumentNullException.ThrowIfNull(geometry);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(host);
        host.Validate();
        options.Validate(geometry, host.PageSize);
        string disk = $"ublk disk {info.Id}";
        ThrowUnlessLeft(info, serverLives, disk);
        ThrowUnlessOurKind(info, parameters, disk);
        UblkRecovery recovery = RecoveryOf(info.Flags, disk);
        UblkBuffers buffers = BuffersOf(info.Flags, host, disk);
        ThrowUnlessShaped(info, parameters, host, disk);
        ThrowUnlessSame(parameters, geometry, disk);
        var plan = new UblkPlan
        {
            Id = (int)info.Id,
            Queues = info.Queues,
            QueueDepth = info.QueueDepth,
            MaxRequestSize = (int)info.MaxRequestSize,
            Buffers = buffers,
            Recovery = recovery,
            ScanPartitions = !info.Flags.HasFlag(UblkFeatures.NoAutoPartScan),
            PhysicalBlockSize = 1 << parameters.PhysicalShift,
            Geometry = geometry,
            Flags = info.Flags,
            IdentityHash = CheckIdentity(info, options, host, disk),
            PageSize = host.PageSize,
        };
        return plan with { Notes = [.. plan.Differences(options)] };
    }

    private static void ThrowUnlessLeft(in UblkDevInfo info, bool serverLives, string disk)
    {
        switch ((UblkState)info.State)
        {
            case UblkState.Live when serverLives:
                throw new UblkException(UblkFailure.Busy,
                    $"Process {info.Pid} serves {disk}: it must end, or detach, before another server can take it over.");
            case UblkState.Live or UblkState.Quiesced or UblkState.FailIo:
                return;
            case UblkState.Dead:
                throw new UblkException(UblkFailure.NotRecoverable,
                    $"There is nothing to take over: {disk} was never started, or was stopped. Delete it, and start a new one.");
            default:
                throw Unexpected($"The kernel says that {disk} is in state {info.State}");
        }
    }

    private static void ThrowUnlessOurKind(in UblkDevInfo info, in UblkParams parameters, string disk)
    {
        if ((info.Flags & ~KnownFeatures) != 0)
        {
            throw Unexpected($"The kernel says that {disk} has {Describe(info.Flags & ~KnownFeatures)}");
        }

        if ((parameters.Types & ~UblkAbi.ParamsKnown) != 0 || (parameters.Attributes & ~UblkAbi.AttrsKnown) != 0)
        {
            throw Unexpected($"The kernel tells parameters 0x{parameters.Types:x} and attributes 0x{parameters.Attributes:x} of {disk}");
        }

        UblkFeatures foreign = info.Flags & Foreign;
        if (foreign != 0 || (parameters.Types & (UblkAbi.ParamZoned | UblkAbi.ParamIntegrity)) != 0)
        {
            throw OthersMade(disk, foreign != 0 ? foreign.ToString() : "parameters for zones or integrity");
        }

        if ((parameters.Types & UblkAbi.ParamBasic) == 0)
        {
            throw Unexpected($"The kernel tells no basic parameters of {disk}");
        }

        ThrowUnlessDescriptorFits(info.DescriptorSize, disk);
    }

    private static UblkRecovery RecoveryOf(UblkFeatures flags, string disk)
    {
        UblkFeatures asked = flags & RecoveryMask;
        if (!asked.HasFlag(UblkFeatures.UserRecovery))
        {
            throw new UblkException(UblkFailure.NotRecoverable,
                $"{Capital(disk)} was made without recovery, so the kernel gives it to no other server: delete it, and start a new one with Recovery set.");
        }

        foreach (UblkRecovery recovery in Enum.GetValues<UblkRecovery>())
        {
            if (FlagsOf(recovery) == asked)
            {
                return recovery;
            }
        }

        throw Unexpected($"The kernel says that {disk} has {asked}, which does not go together");
    }

    private static UblkBuffers BuffersOf(UblkFeatures flags, UblkHost host, string disk)
    {
        switch (flags & BufferMask)
        {
            case UblkFeatures.None:
                return UblkBuffers.Copy;
            case UblkFeatures.UserCopy:
                return UblkBuffers.UserCopy;
            case ZeroCopyFlags when host.TargetTakesZeroCopy:
                return UblkBuffers.ZeroCopy;
            case ZeroCopyFlags:
                throw new UblkException(UblkFailure.Mismatch,
                    $"{Capital(disk)} was made for zero copy, and the target can't do its I/O on the kernel's memory: serve it with the kind of target that it was made for.");
            default:
                throw OthersMade(disk, (flags & BufferMask).ToString());
        }
    }

    private static void ThrowUnlessShaped(in UblkDevInfo info, in UblkParams parameters, UblkHost host, string disk)
    {
        bool shaped = info.Id <= UblkAbi.MaxId
            && info.Queues is >= 1 and <= UblkAbi.MaxQueues
            && info.QueueDepth is >= 1 and <= UblkAbi.MaxQueueDepth
            && info.MaxRequestSize >= host.PageSize && info.MaxRequestSize % host.PageSize == 0
            && parameters.MaxSectors <= info.MaxRequestSize / UblkAbi.SectorSize
            && parameters.LogicalShift is >= UblkAbi.SectorShift and < 31
            && parameters.PhysicalShift >= parameters.LogicalShift && parameters.PhysicalShift < 31;
        if (!shaped)
        {
            throw Unexpected(
                $"The kernel says that {disk} has {info.Queues} queues of {info.QueueDepth} requests of {info.MaxRequestSize} bytes, of which {parameters.MaxSectors} sectors "
                + $"are used, and blocks of 2^{parameters.LogicalShift} and 2^{parameters.PhysicalShift} bytes");
        }

        if (info.MaxRequestSize > UblkAbi.MaxRequestSize)
        {
            throw OthersMade(disk, $"requests of {info.MaxRequestSize} bytes, more than {UblkAbi.MaxRequestSize}");
        }
    }

    private static UblkException OthersMade(string disk, string with) =>
        new(UblkFailure.NotRecoverable, $"{Capital(disk)} was made by another program, with {with}, which this library does not serve: take it over with that program.");

    private static string Capital(string text) => char.ToUpperInvariant(text[0]) + text[1..];
}
