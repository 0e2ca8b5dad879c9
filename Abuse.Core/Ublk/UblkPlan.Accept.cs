namespace Abuse.Core;

/// <content>What the kernel made of the plan.</content>
public sealed partial record UblkPlan
{
    /// <summary>Bits that kernels set in any disk: they tell what works and change nothing for who did not ask.</summary>
    private const UblkFeatures Informative = UblkFeatures.CmdIoctlEncode | UblkFeatures.UringCmdCompInTask
        | UblkFeatures.PerIoDaemon | UblkFeatures.BufRegOffDaemon | UblkFeatures.SafeStopDev;

    /// <summary>Bits that may come back cleared: something is then missing, and nothing wrong.</summary>
    private const UblkFeatures Dispensable = UblkFeatures.UpdateSize | UblkFeatures.Quiesce | UblkFeatures.NoAutoPartScan;

    private const UblkFeatures KnownFeatures = (UblkFeatures)(((ulong)UblkFeatures.IoDescSize << 1) - 1);

    /// <summary>
    /// The plan after ADD_DEV, which changes silently what it does not like: what may be less is taken over with a note, and anything else is
    /// an error. The disk is there by then, so whoever gets the error removes it.
    /// </summary>
    /// <param name="copiedBack">What ADD_DEV left where <see cref="ToDevInfo"/> was.</param>
    /// <exception cref="UblkException">The disk is not one that this plan could serve.</exception>
    internal UblkPlan Accept(in UblkDevInfo copiedBack)
    {
        var notes = new List<string>(Notes);
        int id = AcceptId(copiedBack);
        string disk = $"ublk disk {id}";
        ThrowUnlessFlagsFit(copiedBack.Flags, disk);
        NoteLostFlags(copiedBack.Flags, notes);
        ThrowUnlessDescriptorFits(copiedBack.DescriptorSize, disk);
        if (copiedBack.State != (ushort)UblkState.Dead)
        {
            throw Unexpected($"The kernel made {disk} in state {copiedBack.State}, not {UblkState.Dead}");
        }

        if (copiedBack.ServerFlags != IdentityHash)
        {
            throw Unexpected($"The kernel keeps {copiedBack.ServerFlags:x16} as the identity of {disk}, not {IdentityHash:x16}");
        }

        return this with
        {
            Id = id,
            Queues = AcceptLess("queues", copiedBack.Queues, Queues, disk, notes),
            QueueDepth = AcceptLess("requests a queue", copiedBack.QueueDepth, QueueDepth, disk, notes),
            MaxRequestSize = AcceptRequestSize(copiedBack.MaxRequestSize, disk, notes),
            ScanPartitions = !copiedBack.Flags.HasFlag(UblkFeatures.NoAutoPartScan),
            Flags = copiedBack.Flags,
            Notes = [.. notes],
        };
    }

    private int AcceptId(in UblkDevInfo copiedBack)
    {
        if (copiedBack.Id > UblkAbi.MaxId)
        {
            throw Unexpected($"The kernel made a ublk disk of id {copiedBack.Id}, which no disk can have");
        }

        int id = (int)copiedBack.Id;
        return Id is not { } asked || asked == id ? id : throw Unexpected($"The kernel made ublk disk {id} where {asked} was asked for");
    }

    private void ThrowUnlessFlagsFit(UblkFeatures given, string disk)
    {
        UblkFeatures refused = Flags & ~given & ~Dispensable;
        if (refused != 0)
        {
            throw new UblkException(UblkFailure.Refused,
                $"The kernel made {disk} without {refused}, which it needs and which the kernel said it has: ask for less, and report it.");
        }

        UblkFeatures unasked = given & ~Flags & ~Informative;
        if (unasked != 0)
        {
            throw Unexpected($"The kernel made {disk} with {Describe(unasked)}, which was not asked for");
        }
    }

    private void NoteLostFlags(UblkFeatures given, List<string> notes)
    {
        UblkFeatures lost = Flags & ~given;
        if (lost != 0)
        {
            notes.Add($"The disk is without {lost}: the kernel has it and did not give it.");
        }
    }

    /// <summary>Kernels before the size was told leave the field as it came: 0.</summary>
    private static void ThrowUnlessDescriptorFits(int size, string disk)
    {
        if (size is not (0 or UblkAbi.DescriptorSize))
        {
            throw Unexpected($"The kernel describes requests of {disk} in {size} bytes, not {UblkAbi.DescriptorSize}");
        }
    }

    private static int AcceptLess(string what, int given, int asked, string disk, List<string> notes)
    {
        if (given == 0 || given > asked)
        {
            throw Unexpected($"The kernel made {disk} with {given} {what} where {asked} were asked for");
        }

        if (given < asked)
        {
            notes.Add($"The kernel made {given} {what} instead of {asked}.");
        }

        return given;
    }

    private int AcceptRequestSize(uint given, string disk, List<string> notes)
    {
        if (given == 0 || given > MaxRequestSize || given % PageSize != 0)
        {
            throw Unexpected($"The kernel made {disk} for requests of {given} bytes where {MaxRequestSize}, in pages of {PageSize}, were asked for");
        }

        if (given < MaxRequestSize)
        {
            notes.Add($"The kernel takes requests of {given} bytes instead of {MaxRequestSize}.");
        }

        return (int)given;
    }

    /// <summary>Names of known bits, and the number of those that have none.</summary>
    private static string Describe(UblkFeatures features)
    {
        UblkFeatures unknown = features & ~KnownFeatures;
        return unknown == 0 ? features.ToString()
            : unknown == features ? $"unknown features 0x{(ulong)unknown:x}"
            : $"{features & KnownFeatures} and unknown features 0x{(ulong)unknown:x}";
    }

    private static UblkException Unexpected(string what) =>
        new(UblkFailure.Unexpected, $"{what}: the kernel does what this version does not know; look for a newer one, or report it.");
}
